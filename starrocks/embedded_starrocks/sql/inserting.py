"""Rows of a query into a table: staged, checked, generated columns computed, then merged."""

from __future__ import annotations

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import SqlError, semantic_error, unknown_column, unsupported
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.partitions import (
    AUTO,
    OUTSIDE,
    outside,
    partition_keys,
    rows_of,
    scheme_of,
)
from embedded_starrocks.sql.rewrite import Plan
from embedded_starrocks.sql.rowexpr import with_generated
from embedded_starrocks.sql.values import checked
from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted
from embedded_starrocks.storage.readers import missing_value
from embedded_starrocks.storage.tables import (
    ROW_NUMBER,
    STAGE,
    apply_stage,
    count_rows,
    drop_stage,
)


def target_columns(tree: exp.Insert, relation: Relation) -> tuple[Column, ...]:
    """The columns that an INSERT gives; generated ones are never among them."""
    if not isinstance(tree.this, exp.Schema):
        return tuple(column for column in relation.columns if not column.generated)
    found = []
    for part in tree.this.expressions:
        column = relation.column(part.name)
        if column is None:
            raise unknown_column(part.name, relation.name)
        if column.generated:
            raise semantic_error(f"generated column '{column.name}' can not be specified")
        if column in found:
            raise semantic_error(f"Column '{column.name}' specified twice")
        found.append(column)
    return tuple(found)


def columns_by_name(
    connection: duckdb.DuckDBPyConnection, relation: Relation, plan: Plan
) -> tuple[Column, ...]:
    """INSERT ... BY NAME: the query's own column names say which columns are meant."""
    found = []
    for name, *_ in connection.execute(f"DESCRIBE {plan.sql}").fetchall():
        column = relation.column(name)
        if column is None or column.generated:
            raise unknown_column(name, relation.name)
        found.append(column)
    return tuple(found)


def with_defaults(source: exp.Expr, columns: tuple[Column, ...]) -> exp.Expr:
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
            if isinstance(value, exp.Column | exp.Var) and value.name.upper() == "DEFAULT":
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
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
    partitions: tuple[str, ...] = (),
) -> int:
    """Rows of a query into a table, by its key model; the number of rows."""
    fill_stage(context, connection, relation, columns, plan, partitions=partitions)
    affected = count_rows(connection)
    apply_stage(connection, relation)
    drop_stage(connection)
    return affected


def fill_stage(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
    stage: str = f"temp.{STAGE}",
    partitions: tuple[str, ...] = (),
) -> None:
    """Make the stage table of a query's rows, every value checked. Raises SqlError.

    With `partitions` only their rows are taken.
    """
    described = connection.execute(f"DESCRIBE {plan.sql}").fetchall()
    if len(described) != len(columns):
        raise semantic_error(
            "Column count doesn't match value count: "
            f"{len(columns)} columns, {len(described)} values"
        )
    position = {column.name: index for index, column in enumerate(columns)}
    outputs = []
    for column in relation.columns:
        if column.generated:
            continue
        index = position.get(column.name)
        if index is None:
            if not column.nullable and column.default is None and not column.auto_increment:
                raise semantic_error(f"'{column.name}' must be explicitly mentioned in the columns")
            value = missing_value(column)
        else:
            value = checked(f"s.c{index}", str(described[index][1]), column)
        outputs.append(f"{value} AS {quoted(column.name)}")
    names = ", ".join(f"c{index}" for index in range(len(columns)))
    rows = (
        f"SELECT {', '.join(outputs)}, row_number() OVER () AS {ROW_NUMBER} "
        f"FROM ({plan.sql}) AS s({names})"
    )
    rows = with_generated(context.catalog, relation, rows, ROW_NUMBER)
    connection.execute(f"DROP TABLE IF EXISTS {stage}")
    kind = "TEMP TABLE" if stage.startswith("temp.") else "TABLE"
    connection.execute(f"CREATE {kind} {stage} AS {rows}")
    _filter_by_partitions(context, connection, relation, stage, partitions)


def _filter_by_partitions(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    stage: str,
    partitions: tuple[str, ...],
) -> None:
    """Remove rows that no partition takes, as many as `insert_max_filter_ratio` allows."""
    condition = outside(context.catalog, relation, partitions)
    if condition is None:
        return
    ((total, filtered),) = connection.execute(
        f"SELECT count(*), count(*) FILTER ({condition}) FROM {stage}"
    ).fetchall()
    if not filtered:
        return
    if filtered > float(context.variable("insert_max_filter_ratio") or 0) * total:
        connection.execute(f"DROP TABLE {stage}")
        raise SqlError(
            1064, "HY000", f"Insert has filtered data: {filtered} of {total} rows. {OUTSIDE}"
        )
    connection.execute(f"DELETE FROM {stage} WHERE {condition}")


def overwrite(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    plan: Plan,
    partitions: tuple[str, ...] = (),
) -> int:
    """INSERT OVERWRITE: rows may come from the table itself, so they are staged first."""
    fill_stage(context, connection, relation, columns, plan, partitions=partitions)
    if partitions:
        condition = rows_of(context.catalog, relation, partitions)
        connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)} WHERE {condition}")
    elif _is_dynamic(context):
        _empty_partitions(context, connection, relation)
    else:
        connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)}")
    affected = count_rows(connection)
    apply_stage(connection, relation)
    drop_stage(connection)
    return affected


def _is_dynamic(context: Context) -> bool:
    """Whether only the partitions that get rows are overwritten."""
    setting = str(context.variable("dynamic_overwrite")).lower()
    return setting in ("true", "1", "on")


def _empty_partitions(
    context: Context, connection: duckdb.DuckDBPyConnection, relation: Relation
) -> None:
    """Delete the rows of every partition that the stage has rows for."""
    scheme = scheme_of(relation)
    if scheme is None:
        raise unsupported(f"dynamic overwrite of {relation.name}: it has no partitions")
    target = qualified(relation.db, relation.name)
    if scheme.kind != AUTO:
        for each in relation.partitions:
            condition = rows_of(context.catalog, relation, (each.name,))
            connection.execute(
                f"DELETE FROM {target} WHERE {condition} "
                f"AND EXISTS (SELECT 1 FROM {STAGE} WHERE {condition})"
            )
        return
    keys = partition_keys(context.catalog, relation, scheme)
    part = "struct_pack(" + ", ".join(f"p{i} := {each}" for i, each in enumerate(keys)) + ")"
    connection.execute(
        f"DELETE FROM {target} WHERE rowid IN (SELECT t.r FROM "
        f"(SELECT rowid AS r, {part} AS p FROM {target}) AS t SEMI JOIN "
        f"(SELECT DISTINCT {part} AS p FROM {STAGE}) AS s ON t.p IS NOT DISTINCT FROM s.p)"
    )
