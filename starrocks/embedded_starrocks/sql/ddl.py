"""CREATE and DROP of databases, tables and views; TRUNCATE."""

from __future__ import annotations

import dataclasses

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import (
    database_exists,
    semantic_error,
    table_exists,
    unknown_database,
    unknown_dropped_table,
    unknown_table,
    unsupported,
)
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import alterpartitions, dialect, inserting, kinds
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.rewrite import Plan, Rewriter, find_relation, resolve_database
from embedded_starrocks.sql.rowexpr import generated_columns
from embedded_starrocks.sql.tabledef import (
    check_name,
    clauses_of,
    columns_of,
    relation_from,
)
from embedded_starrocks.sql.types import STRING_LENGTH, ColumnType, from_duckdb
from embedded_starrocks.storage import metadata, rights, tables
from embedded_starrocks.storage.metadata import SCHEMA, Column, Relation, qualified, quoted
from embedded_starrocks.storage.store import RESERVED_DATABASES, create_database


def create(context: Context, tree: exp.Create) -> Done:
    kind = tree.kind
    if kind in ("DATABASE", "SCHEMA"):
        return _create_database(context, tree)
    if kind == "TABLE":
        return _create_table(context, tree)
    if kind == "VIEW":
        return create_view(context, tree)
    raise unsupported(f"CREATE {kind}")


def _create_database(context: Context, tree: exp.Create) -> Done:
    context.require_catalog("CREATE DATABASE", "create databases")
    name = check_name(tree.this.name or tree.this.db)
    if name.lower() in RESERVED_DATABASES:
        raise semantic_error(f"database name '{name}' is reserved")
    with context.store.change() as connection:
        if context.catalog.database(name) is not None:
            if tree.args.get("exists"):
                return Done()
            raise database_exists(name)
        create_database(connection, name)
    return Done()


def target(context: Context, tree: exp.Create) -> tuple[str, str]:
    table = tree.find(exp.Table)
    if table is None:
        raise semantic_error("CREATE without a name")
    db = resolve_database(context.scope(), table)
    if db == "information_schema":
        raise semantic_error("information_schema is read only")
    return db, check_name(table.name)


def _create_table(context: Context, tree: exp.Create) -> Done:
    db, name = target(context, tree)
    context.require_database("CREATE TABLE", db)
    like = tree.find(exp.LikeProperty)
    plan: Plan | None = None
    selected: tuple[Column, ...] = ()
    if like is not None:
        source = find_relation(context.scope(), like.this)
        context.require_reads([source])
        relation = dataclasses.replace(source, db=db, name=name, id=0)
    elif tree.expression is not None:
        plan, selected = select_columns(context, tree)
        relation = relation_from(tree, db, name, _keys_first(tree, selected))
    else:
        relation = relation_from(tree, db, name, columns_of(tree))
    with context.store.change() as connection:
        if context.catalog.relation(db, name) is not None:
            if tree.args.get("exists"):
                return Done()
            raise table_exists(name)
        # An expression that can't be computed is an error now, not at the first row.
        generated_columns(context.catalog, relation)
        relation = metadata.insert_relation(connection, relation)
        tables.create_table(connection, relation)
        tables.create_counter(connection, relation)
        if plan is None:
            return Done()
        return Done(inserting.insert_rows(context, connection, relation, selected, plan))


def _keys_first(tree: exp.Create, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of a CREATE TABLE AS with those of its key in front, where they must stand."""
    keys = [key.lower() for key in clauses_of(tree).keys]
    first = [column for key in keys for column in columns if column.name.lower() == key]
    return (*first, *(column for column in columns if column.name.lower() not in keys))


def select_columns(context: Context, tree: exp.Create) -> tuple[Plan, tuple[Column, ...]]:
    plan = Rewriter(context.scope()).query(tree.expression)
    context.require_reads(plan.reads)
    described = describe(context.session.connection, plan)
    names = _given_names(tree, [name for name, _ in described])
    columns = tuple(
        Column(name=check_name(name), type=kind)
        for name, (_, kind) in zip(names, described, strict=True)
    )
    return plan, columns


def _given_names(tree: exp.Create, found: list[str]) -> list[str]:
    """Names of the column list, when there is one, else those of the query."""
    if not isinstance(tree.this, exp.Schema) or not tree.this.expressions:
        return found
    given = [
        part.name
        for part in tree.this.expressions
        if isinstance(part, exp.Identifier | exp.ColumnDef)
    ]
    if not given:
        return found
    if len(given) != len(found):
        raise semantic_error(f"{len(given)} column names for {len(found)} columns of the query")
    return given


def describe(connection: duckdb.DuckDBPyConnection, plan: Plan) -> list[tuple[str, ColumnType]]:
    """Names and StarRocks types of a query's columns, without running it."""
    rows = connection.execute(f"DESCRIBE {plan.sql}").fetchall()
    found = []
    sets = dict(enumerate(kind for _, kind in plan.outputs))
    for index, (name, kind, *_) in enumerate(rows):
        known = sets.get(index)
        if known in (kinds.BITMAP, kinds.HLL) and known is not None:
            found.append((name, known))
            continue
        narrowed = "BIGINT" if kind == "HUGEINT" and not plan.has_largeint else kind
        column_type = from_duckdb(narrowed)
        if column_type.is_text:
            column_type = ColumnType("VARCHAR", length=STRING_LENGTH)
        found.append((name, column_type))
    return found


def create_view(context: Context, tree: exp.Create) -> Done:
    db, name = target(context, tree)
    context.require_database("CREATE VIEW", db)
    query = tree.expression.unnest() if isinstance(tree.expression, exp.Subquery) else None
    query = query or tree.expression
    definition = definition_text(context, query)
    plan, columns = select_columns(context, tree)
    relation = Relation(
        db=db,
        name=name,
        kind="VIEW",
        columns=_commented(tree, columns),
        comment=clauses_of(tree).comment,
        definition=definition,
    )
    with context.store.change() as connection:
        old = context.catalog.relation(db, name)
        if old is not None:
            if old.kind != "VIEW" or not (tree.args.get("replace") or tree.args.get("exists")):
                raise table_exists(name)
            if tree.args.get("exists"):
                return Done()
            metadata.delete_relation(connection, old)
        metadata.insert_relation(connection, relation)
        put_view(connection, relation, plan)
    return Done()


def put_view(connection: duckdb.DuckDBPyConnection, relation: Relation, plan: Plan) -> None:
    names = ", ".join(quoted(column.name) for column in relation.columns)
    target = qualified(relation.db, relation.name)
    connection.execute(f"CREATE OR REPLACE VIEW {target} ({names}) AS {plan.sql}")


def _commented(tree: exp.Create, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    if not isinstance(tree.this, exp.Schema):
        return columns
    comments = {}
    for part in tree.this.expressions:
        constraint = part.find(exp.CommentColumnConstraint)
        if constraint is not None:
            comments[part.name.lower()] = constraint.this.name
    return tuple(
        dataclasses.replace(column, comment=comments.get(column.name.lower(), ""))
        for column in columns
    )


def definition_text(context: Context, query: exp.Expr) -> str:
    """The canonical text of a view: every table with its database."""
    copy = query.copy()
    for table in copy.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not table.db:
            relation = context.catalog.relation(context.session.database, table.name)
            if relation is not None:
                table.set("db", exp.to_identifier(relation.db))
        table.set("catalog", None)
    return copy.sql(dialect="starrocks", normalize_functions="lower", identify=True, comments=False)


def drop(context: Context, tree: exp.Drop) -> Done:
    kind = str(tree.args.get("kind")).upper()
    targets = tree.args.get("tables") or []
    if len(targets) != 1:
        raise semantic_error("DROP takes one name")
    if kind in ("DATABASE", "SCHEMA"):
        return _drop_database(
            context, targets[0].name or targets[0].db, bool(tree.args.get("exists"))
        )
    wanted = {"TABLE": "TABLE", "VIEW": "VIEW"}.get(kind)
    if wanted is None:
        raise unsupported(f"DROP {kind}")
    if tree.args.get("materialized"):
        wanted = "MATERIALIZED VIEW"
    return _drop_relation(context, targets[0], wanted, bool(tree.args.get("exists")))


def _drop_database(context: Context, name: str, if_exists: bool) -> Done:
    found = context.catalog.database(name)
    context.require_database("DROP", found or name)
    if found is None:
        if if_exists:
            return Done()
        raise unknown_database(name)
    with context.store.change() as connection:
        for relation in context.catalog.in_database(found):
            metadata.delete_relation(connection, relation)
            tables.drop_counter(connection, relation)
        connection.execute(f"DROP SCHEMA {quoted(found)} CASCADE")
        for table, column in (("databases", "name"), ("labels", "db"), ("grants", "db")):
            connection.execute(f"DELETE FROM {SCHEMA}.{table} WHERE {column} = ?", [found])
    context.store.labels.forget_database(found)
    return Done()


def _drop_relation(context: Context, table: exp.Table, wanted: str, if_exists: bool) -> Done:
    try:
        db = resolve_database(context.scope(), table)
    except Exception:
        if if_exists and context.catalog.database(table.db or "") is None:
            return Done()
        raise
    context.require("DROP", db, table.name)
    with context.store.change() as connection:
        relation = context.catalog.relation(db, table.name)
        if relation is None or relation.kind != wanted:
            if relation is None and if_exists:
                return Done()
            if relation is None:
                raise unknown_dropped_table(f"{db}.{table.name}")
            raise semantic_error(f"'{db}.{relation.name}' is not a {wanted} but a {relation.kind}")
        drop_physical(connection, relation)
        metadata.delete_relation(connection, relation)
        rights.forget_object(connection, relation.db, relation.name)
    return Done()


def drop_physical(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    kind = "VIEW" if relation.kind == "VIEW" or relation.refresh == "SYNC" else "TABLE"
    connection.execute(f"DROP {kind} {qualified(relation.db, relation.name)}")
    tables.drop_counter(connection, relation)


def truncate(context: Context, tree: exp.TruncateTable) -> Done:
    table = tree.expressions[0]
    relation = find_relation(context.scope(), table)
    context.require("DELETE", relation.db, relation.name)
    if relation.kind != "TABLE":
        raise unknown_table(relation.db, relation.name)
    if names := dialect.partition_names(table):
        alterpartitions.truncate(context, relation, names)
        return Done()
    with context.store.write() as connection:
        connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)}")
    context.store.note_change(relation.id)
    return Done()
