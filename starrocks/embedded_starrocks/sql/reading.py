"""SELECT: its plan from the cache, its rows as values or, when there are many, as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb

from embedded_starrocks.mysql.resultset import ResultSet, Row
from embedded_starrocks.mysql.wiresql import encoding_sql
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.plancache import describe, note_columns, planned
from embedded_starrocks.sql.plans import CachedPlan
from embedded_starrocks.sql.query import run_plan
from embedded_starrocks.sql.rewrite import Plan
from embedded_starrocks.sql.translate import translated

# From this many rows on DuckDB makes the bytes of a result.
LARGE = 8192
_CHUNK = 16_384


def read(context: Context, found: list[Token], sql: str) -> ResultSet:
    """A query's result. Raises SqlError."""
    cached, plan = planned(context, found, sql)
    if context.session.wants_encoded and _may_be_large(context, cached):
        result = _encoded(context, cached, plan)
        if result is not None:
            return result
    result = run_plan(context, plan, cached.columns)
    if cached.columns is None:
        note_columns(cached, context.session.connection.description or [])
    return ResultSet(result.columns, _noting(cached, result.chunks))


def _may_be_large(context: Context, cached: CachedPlan) -> bool:
    """By its last result, or before the first one by the tables that it reads."""
    if cached.is_large is not None:
        return cached.is_large
    rows = context.store.estimated_rows()
    return any(rows.get((each.db, each.name), 0) >= LARGE for each in cached.reads)


def _encoded(context: Context, cached: CachedPlan, plan: Plan) -> ResultSet | None:
    if cached.columns is None:
        describe(context, cached, plan)
    if cached.columns is None or cached.may_overflow:
        # A sum may lie beyond what it is shown as; Python checks that.
        return None
    sql = encoding_sql(plan.sql, cached.columns)
    if sql is None:
        return None
    connection = context.session.connection
    connection.execute(sql)
    return ResultSet(cached.columns, _payloads(context, cached, connection), is_encoded=True)


def _payloads(
    context: Context, cached: CachedPlan, connection: duckdb.DuckDBPyConnection
) -> Iterator[list[Row]]:
    total = 0
    while True:
        context.session.check_alive()
        try:
            rows = connection.fetchmany(_CHUNK)
        except duckdb.Error as error:
            raise translated(error) from None
        total += len(rows)
        if len(rows) < _CHUNK:
            cached.is_large = total >= LARGE
            if rows:
                yield rows
            return
        yield rows


def _noting(cached: CachedPlan, chunks: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The chunks; and whether there are so many rows that they are better made as bytes."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        yield chunk
    cached.is_large = total >= LARGE
