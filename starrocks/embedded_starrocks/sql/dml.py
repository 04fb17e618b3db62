"""INSERT, UPDATE, DELETE: every one a transaction of its own, but for INSERT behind BEGIN."""

from __future__ import annotations

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unknown_column, unsupported
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import dialect, transactions
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.inserting import (
    columns_by_name,
    fill_stage,
    insert_rows,
    overwrite,
    target_columns,
    with_defaults,
)
from embedded_starrocks.sql.partitionlists import require_partitions
from embedded_starrocks.sql.partitions import rows_of
from embedded_starrocks.sql.rewrite import Plan, Rewriter, find_relation
from embedded_starrocks.sql.rowexpr import generated_columns
from embedded_starrocks.sql.values import checked, default_value
from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted
from embedded_starrocks.storage.tables import count_rows


def insert(context: Context, tree: exp.Insert) -> Done:
    """INSERT INTO or INSERT OVERWRITE, of VALUES or a query, with or without a label."""
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(table, exp.Table):
        raise semantic_error("INSERT without a table")
    relation = find_relation(context.scope(), table)
    context.require("INSERT", relation.db, relation.name)
    if relation.kind != "TABLE":
        raise semantic_error(f"'{relation.name}' is a {relation.kind}; it takes no rows")
    partitions = dialect.partition_names(table)
    require_partitions(context.catalog, context.session.connection, relation, partitions)
    columns = target_columns(tree, relation)
    source = tree.expression
    if source is None:
        raise semantic_error("INSERT without rows")
    if tree.args.get("with_") is not None and isinstance(source, exp.Query):
        source.set("with_", tree.args["with_"])
    plan = Rewriter(context.scope()).query(with_defaults(source, columns))
    context.require_reads(plan.reads)
    if tree.args.get("by_name"):
        columns = columns_by_name(context.session.connection, relation, plan)
    label = str(tree.meta.get("label", ""))
    if context.session.transaction is not None:
        return _insert_in_transaction(context, tree, relation, columns, plan, partitions)
    if tree.args.get("overwrite"):
        # Emptying a table is what TRUNCATE does, and needs the right for it in StarRocks, too.
        context.require("DELETE", relation.db, relation.name)
        return transactions.labelled(
            context,
            relation,
            label,
            lambda connection: overwrite(context, connection, relation, columns, plan, partitions),
        )
    return transactions.labelled(
        context,
        relation,
        label,
        lambda connection: insert_rows(context, connection, relation, columns, plan, partitions),
    )


def _insert_in_transaction(
    context: Context,
    tree: exp.Insert,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
    partitions: tuple[str, ...],
) -> Done:
    """Stage the rows; they become visible with COMMIT."""
    transaction = context.session.transaction
    if transaction is None:
        raise semantic_error("there is no open transaction")
    if tree.args.get("overwrite"):
        raise unsupported("INSERT OVERWRITE in a transaction")
    stage = transaction.next_stage(relation)
    fill_stage(context, context.session.connection, relation, columns, plan, stage, partitions)
    transaction.stages.append((relation, stage))
    return Done(count_rows(context.session.connection, stage))


def delete(context: Context, tree: exp.Delete) -> Done:
    if tree.args.get("tables"):
        raise unsupported("DELETE of several tables")
    partitions = dialect.partition_names(tree.this)
    if partitions and tree.args.get("using"):
        raise semantic_error("DELETE takes PARTITION or USING, not both")
    relation = _changed_table(context, tree, "DELETE")
    require_partitions(context.catalog, context.session.connection, relation, partitions)
    where = tree.args.get("where")
    if where is None:
        raise semantic_error("Delete must specify where clause to prevent full table delete")
    if relation.key_model != "PRIMARY":
        _check_simple_delete(tree, relation)
    rewriter = Rewriter(context.scope())
    prefix = _with(rewriter, tree)
    using = [rewriter.expression(table) for table in tree.args.get("using") or []]
    source = f" USING {', '.join(using)}" if using else ""
    condition = f" WHERE {rewriter.expression(where.this)}"
    if partitions:
        condition = f" WHERE ({condition[7:]}) AND {rows_of(context.catalog, relation, partitions)}"
    context.require_reads(rewriter.plan.reads)
    target = qualified(relation.db, relation.name)
    alias = quoted(tree.this.alias_or_name)
    with context.store.write() as connection:
        row = connection.execute(
            f"{prefix}DELETE FROM {target} AS {alias}{source}{condition}"
        ).fetchone()
    context.store.note_change(relation.id)
    return Done(int(row[0]) if row else 0)


_SIMPLE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Is, exp.Between)


def _parts_of_and(condition: exp.Expr) -> list[exp.Expr]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        return [*_parts_of_and(condition.this), *_parts_of_and(condition.expression)]
    return [condition]


def _check_simple_delete(tree: exp.Delete, relation: Relation) -> None:
    """Outside of PRIMARY KEY tables StarRocks compares columns with values, joined by AND."""
    if tree.args.get("using") or tree.args.get("with_"):
        raise semantic_error(
            f"DELETE with USING or WITH needs a PRIMARY KEY table: {relation.name}"
        )
    for part in _parts_of_and(tree.args["where"].this):
        inner = part.this if isinstance(part, exp.Not) else part
        if not isinstance(inner, _SIMPLE) or not isinstance(inner.this, exp.Column):
            raise semantic_error(
                "DELETE outside of PRIMARY KEY tables takes `column operator value`, joined by AND"
            )
        if inner.find(exp.Query) or any(
            isinstance(node, exp.Column) and node is not inner.this for node in inner.walk()
        ):
            raise semantic_error("DELETE outside of PRIMARY KEY tables takes values only")
        is_key = inner.this.name.lower() in {key.lower() for key in relation.keys}
        if relation.key_model in ("AGGREGATE", "UNIQUE") and not is_key:
            raise semantic_error(f"Where clause only supports key columns: {inner.this.name}")


def _with(rewriter: Rewriter, tree: exp.Expr) -> str:
    """The WITH clause in front of an UPDATE or DELETE."""
    with_ = tree.args.get("with_")
    return f"{rewriter.expression(with_)} " if with_ is not None else ""


def _regenerate(
    context: Context, connection: duckdb.DuckDBPyConnection, relation: Relation
) -> None:
    """Compute generated columns again where an UPDATE changed what they are made of."""
    target = qualified(relation.db, relation.name)
    for name, value in generated_columns(context.catalog, relation).items():
        connection.execute(
            f"UPDATE {target} SET {quoted(name)} = {value} "
            f"WHERE {quoted(name)} IS DISTINCT FROM {value}"
        )


def update(context: Context, tree: exp.Update) -> Done:
    """UPDATE ... SET ... [FROM ...] WHERE ... on a PRIMARY KEY table."""
    relation = _changed_table(context, tree, "UPDATE")
    if relation.key_model != "PRIMARY":
        raise semantic_error(f"table {relation.name} is not a PRIMARY KEY table: no UPDATE")
    if tree.args.get("where") is None and not tree.this.args.get("joins"):
        raise semantic_error("must specify where clause to prevent full table update")
    rewriter = Rewriter(context.scope())
    prefix = _with(rewriter, tree)
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
            f"{prefix}UPDATE {target} AS {alias} SET {', '.join(sets)}{source} WHERE {condition}"
        ).fetchone()
        _regenerate(context, connection, relation)
    context.store.note_change(relation.id)
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


def _is_default(value: exp.Expr) -> bool:
    return isinstance(value, exp.Column | exp.Var) and value.name.upper() == "DEFAULT"


def _assignment(rewriter: Rewriter, relation: Relation, part: exp.Expr) -> str:
    column = relation.column(part.this.name)
    if column is None:
        raise unknown_column(part.this.name, relation.name)
    if column.name in relation.keys:
        raise semantic_error(f"primary key column cannot be updated: {column.name}")
    if column.generated:
        raise semantic_error(f"generated column '{column.name}' cannot be updated")
    if _is_default(part.expression):
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
