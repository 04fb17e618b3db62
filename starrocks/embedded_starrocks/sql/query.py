"""SELECT: rewritten, run on the session's own connection, fetched in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
from sqlglot import exp

from embedded_starrocks.mysql.resultset import ResultColumn, ResultSet, Row
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.partitionlists import require_partitions
from embedded_starrocks.sql.rewrite import Plan, Rewriter
from embedded_starrocks.sql.translate import translated
from embedded_starrocks.storage.metadata import quoted

CHUNK_ROWS = 8192
# Types that only DuckDB has, and what they are shown as.
_SHOWN = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "HUGEINT",
    "INTEGER_LITERAL": "INTEGER",
}


def plan_query(context: Context, tree: exp.Expr) -> Plan:
    """A checked and rewritten query."""
    plan = Rewriter(context.scope()).query(tree)
    context.require_reads(plan.reads)
    for relation, names in plan.partitions:
        require_partitions(context.catalog, context.session.connection, relation, names)
    if plan.outputs:
        plan.sql = _without_sets(plan)
    return plan


def _without_sets(plan: Plan) -> str:
    """A BITMAP or an HLL is NULL for a client; functions say what is in it."""
    names = [f"c{index}" for index in range(len(plan.outputs))]
    shown = [
        f"{'CAST(NULL AS VARCHAR)' if kind in (kinds.BITMAP, kinds.HLL) else name} AS {quoted(own)}"
        for name, (own, kind) in zip(names, plan.outputs, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM ({plan.sql}) AS q({', '.join(names)})"


def run_query(context: Context, tree: exp.Expr) -> ResultSet:
    plan = plan_query(context, tree)
    return run_plan(context, plan)


def run_plan(context: Context, plan: Plan, columns: list[ResultColumn] | None = None) -> ResultSet:
    """The result of a plan; asking DuckDB for its columns takes a while, if they aren't known."""
    connection = context.session.connection
    connection.execute(plan.sql)
    if columns is None:
        columns = shown_columns(connection.description or [], plan.has_largeint)
    return ResultSet(columns, _chunks(context, connection))


def shown_columns(described: Iterable[tuple[Any, ...]], has_largeint: bool) -> list[ResultColumn]:
    """Columns for the client, from rows that begin with DuckDB's name and type."""
    return [ResultColumn(name, shown_type(str(kind), has_largeint)) for name, kind, *_ in described]


def shown_type(kind: str, has_largeint: bool) -> str:
    """The type a result column has for the client.

    DuckDB sums integers into HUGEINT, StarRocks into BIGINT; only a query over LARGEINT shows
    LARGEINT. A sum beyond BIGINT is refused while it is sent.
    """
    if kind == "HUGEINT" and not has_largeint:
        return "BIGINT"
    return _SHOWN.get(kind, kind)


def _chunks(context: Context, connection: duckdb.DuckDBPyConnection) -> Iterator[list[Row]]:
    while True:
        context.session.check_alive()
        try:
            rows = connection.fetchmany(CHUNK_ROWS)
        except duckdb.Error as error:
            raise translated(error) from None
        if not rows:
            return
        yield rows
        if len(rows) < CHUNK_ROWS:
            return
