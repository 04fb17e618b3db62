"""INSERT, UPDATE, DELETE: every one a transaction of its own, as in StarRocks."""

from __future__ import annotations

import re

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unknown_column, unsupported
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.rewrite import Plan, Rewriter, find_relation
from embedded_starrocks.sql.values import checked, default_value
from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted
from embedded_starrocks.storage.tables import (
    ROW_NUMBER,
    STAGE,
    apply_stage,
    count_rows,
    drop_stage,
)

_DYNAMIC = re.compile(r"dynamic_overwrite\s*=\s*'?(\w+)", re.IGNORECASE)


def insert(context: Context, tree: exp.Insert) -> Done:
    """INSERT INTO or INSERT OVERWRITE, of VALUES or a query."""
    table = tree.find(exp.Table)
    if table is None:
        raise semantic_error("INSERT without a table")
    relation = find_relation(context.scope(), table)
    context.require("INSERT", relation.db, relation.name)
    if relation.kind != "TABLE":
        raise semantic_error(f"'{relation.name}' is a {relation.kind}; it takes no rows")
    if tree.args.get("partition") or table.args.get("partition"):
        raise unsupported("INSERT into a named PARTITION")
    columns = _target_columns(tree, relation)
    source = tree.expression
    if source is None:
        raise semantic_error("INSERT without rows")
    plan = Rewriter(context.scope()).query(_with_defaults(source, columns))
    context.require_reads(plan.reads)
    with context.store.write() as connection:
        if tree.args.get("overwrite"):
            # Rows may come from the table itself: stage them before it is emptied.
            _fill_stage(connection, relation, columns, plan)
            if _is_dynamic(context, tree):
                _empty_partitions(context, connection, relation)
            else:
                connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)}")
            affected = count_rows(connection)
            apply_stage(connection, relation)
            drop_stage(connection)
            return Done(affected)
        return Done(insert_rows(connection, relation, columns, plan))


def _target_columns(tree: exp.Insert, relation: Relation) -> tuple[Column, ...]:
    if not isinstance(tree.this, exp.Schema):
        return relation.columns
    found = []
    for part in tree.this.expressions:
        column = relation.column(part.name)
        if column is None:
            raise unknown_column(part.name, relation.name)
        found.append(column)
    return tuple(found)


def _with_defaults(source: exp.Expr, columns: tuple[Column, ...]) -> exp.Expr:
    """VALUES as a query, with DEFAULT replaced."""
    if isinstance(source, exp.Subquery):
        source = source.this
    if not isinstance(source, exp.Values):
        return source
    for row in source.expressions:
        values = row.expressions if isinstance(row, exp.Tuple) else [row]
        if len(values) != len(columns):
            raise semantic_error(
                "Column count doesn't match value count: "
                f"{len(columns)} columns, {len(values)} values"
            )
        for value, column in zip(values, columns, strict=True):
            if isinstance(value, exp.Column) and value.name.upper() == "DEFAULT":
                value.replace(_default_expression(column))
            elif isinstance(value, exp.Column):
                raise unknown_column(value.name, "VALUES")
    names = [exp.to_identifier(f"c{index}") for index in range(len(columns))]
    rows = exp.Values(
        expressions=source.expressions,
        alias=exp.TableAlias(this=exp.to_identifier("v"), columns=names),
    )
    return exp.select("*").from_(rows)


def _default_expression(column: Column) -> exp.Expr:
    if column.default is None:
        return exp.Null()
    if column.default.upper() == "CURRENT_TIMESTAMP":
        return exp.CurrentTimestamp()
    return exp.Literal.string(column.default)


def insert_rows(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
) -> int:
    """Rows of a query into a table, by its key model; the number of rows."""
    _fill_stage(connection, relation, columns, plan)
    affected = count_rows(connection)
    apply_stage(connection, relation)
    drop_stage(connection)
    return affected


def _fill_stage(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
) -> None:
    described = connection.execute(f"DESCRIBE {plan.sql}").fetchall()
    if len(described) != len(columns):
        raise semantic_error(
            "Column count doesn't match value count: "
            f"{len(columns)} columns, {len(described)} values"
        )
    position = {column.name: index for index, column in enumerate(columns)}
    outputs = []
    for column in relation.columns:
        index = position.get(column.name)
        if index is None:
            if not column.nullable and column.default is None:
                raise semantic_error(f"'{column.name}' must be explicitly mentioned in the columns")
            value = default_value(column)
        else:
            value = checked(f"s.c{index}", str(described[index][1]), column)
        outputs.append(f"{value} AS {quoted(column.name)}")
    names = ", ".join(f"c{index}" for index in range(len(columns)))
    drop_stage(connection)
    connection.execute(
        f"CREATE TEMP TABLE {STAGE} AS SELECT {', '.join(outputs)}, "
        f"row_number() OVER () AS {ROW_NUMBER} FROM ({plan.sql}) AS s({names})"
    )


def _is_dynamic(context: Context, tree: exp.Insert) -> bool:
    """Whether only the partitions that get rows are overwritten."""
    setting = str(context.variable("dynamic_overwrite")).lower()
    hint = _DYNAMIC.search(tree.args["hint"].sql("starrocks")) if tree.args.get("hint") else None
    if hint is not None:
        setting = hint.group(1).lower()
    return setting in ("true", "1", "on")


def _empty_partitions(
    context: Context, connection: duckdb.DuckDBPyConnection, relation: Relation
) -> None:
    """Delete the rows of every partition that the stage has rows for."""
    if not relation.partition_by or relation.partition_by.startswith(("RANGE", "LIST")):
        raise unsupported(f"dynamic overwrite of {relation.name}: it has no expression partitions")
    tree = dialect.parse(f"SELECT {relation.partition_by}")
    parts = [Rewriter(context.scope()).expression(part) for part in tree.expressions]
    part = "struct_pack(" + ", ".join(f"p{i} := {each}" for i, each in enumerate(parts)) + ")"
    target = qualified(relation.db, relation.name)
    connection.execute(
        f"DELETE FROM {target} WHERE rowid IN (SELECT t.r FROM "
        f"(SELECT rowid AS r, {part} AS p FROM {target}) AS t SEMI JOIN "
        f"(SELECT DISTINCT {part} AS p FROM {STAGE}) AS s ON t.p IS NOT DISTINCT FROM s.p)"
    )


def delete(context: Context, tree: exp.Delete) -> Done:
    if tree.args.get("tables"):
        raise unsupported("DELETE of several tables")
    relation = _changed_table(context, tree, "DELETE")
    where = tree.args.get("where")
    if where is None and relation.key_model == "PRIMARY":
        raise semantic_error("Delete must specify where clause to prevent full table delete")
    rewriter = Rewriter(context.scope())
    using = [rewriter.expression(table) for table in tree.args.get("using") or []]
    source = f" USING {', '.join(using)}" if using else ""
    condition = f" WHERE {rewriter.expression(where.this)}" if where is not None else ""
    context.require_reads(rewriter.plan.reads)
    target = qualified(relation.db, relation.name)
    alias = quoted(tree.this.alias_or_name)
    with context.store.write() as connection:
        row = connection.execute(f"DELETE FROM {target} AS {alias}{source}{condition}").fetchone()
    return Done(int(row[0]) if row else 0)


def update(context: Context, tree: exp.Update) -> Done:
    """UPDATE ... SET ... [FROM ...] WHERE ... on a PRIMARY KEY table."""
    relation = _changed_table(context, tree, "UPDATE")
    if relation.key_model != "PRIMARY":
        raise semantic_error(f"table {relation.name} is not a PRIMARY KEY table: no UPDATE")
    if tree.args.get("where") is None and not tree.this.args.get("joins"):
        raise semantic_error("must specify where clause to prevent full table update")
    rewriter = Rewriter(context.scope())
    sets = [_assignment(rewriter, relation, part) for part in tree.expressions]
    joined, conditions = _joined(tree)
    source = ""
    if joined:
        source = " FROM " + ", ".join(rewriter.expression(table) for table in joined)
    condition = " AND ".join(f"({rewriter.expression(each)})" for each in conditions)
    context.require_reads(rewriter.plan.reads)
    target = qualified(relation.db, relation.name)
    alias = quoted(tree.this.alias_or_name)
    with context.store.write() as connection:
        row = connection.execute(
            f"UPDATE {target} AS {alias} SET {', '.join(sets)}{source} WHERE {condition}"
        ).fetchone()
    return Done(int(row[0]) if row else 0)


def _joined(tree: exp.Update) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The other tables of UPDATE a, b SET ... or UPDATE a SET ... FROM b, and all conditions."""
    tables: list[exp.Expr] = []
    conditions: list[exp.Expr] = []
    where = tree.args.get("where")
    if where is not None:
        conditions.append(where.this)
    from_ = tree.args.get("from_")
    if from_ is not None:
        tables.append(from_.this)
    for join in tree.this.args.get("joins") or []:
        if join.side or join.args.get("using"):
            raise unsupported(f"UPDATE with {join.sql('starrocks')[:60]}")
        tables.append(join.this)
        if join.args.get("on") is not None:
            conditions.append(join.args["on"])
    return tables, conditions


def _assignment(rewriter: Rewriter, relation: Relation, part: exp.Expr) -> str:
    column = relation.column(part.this.name)
    if column is None:
        raise unknown_column(part.this.name, relation.name)
    if column.name in relation.keys:
        raise semantic_error(f"primary key column cannot be updated: {column.name}")
    if isinstance(part.expression, exp.Column) and part.expression.name.upper() == "DEFAULT":
        return f"{quoted(column.name)} = {default_value(column)}"
    value = rewriter.expression(part.expression)
    # The type is only known to DuckDB here: text is what needs the strictest look.
    return f"{quoted(column.name)} = {checked(f'({value})', 'ANY', column)}"


def _changed_table(context: Context, tree: exp.Expr, privilege: str) -> Relation:
    if not isinstance(tree.this, exp.Table):
        raise unsupported(f"{privilege} of several tables")
    relation = find_relation(context.scope(), tree.this)
    if relation.kind != "TABLE":
        raise semantic_error(f"'{relation.name}' is a {relation.kind}; it takes no {privilege}")
    context.require(privilege, relation.db, relation.name)
    return relation
