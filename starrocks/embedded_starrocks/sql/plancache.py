"""Plans of queries that came before: parsing costs more than a small query.

A query's text is its key, but for whole numbers behind a comparison. The first time, such a query
is planned with marks in their place; if every mark stands in the plan exactly once, the plan fits
all numbers. Plans hold for one picture of the catalog, one user with its roles, and one database.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import duckdb

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.plans import CachedPlan
from embedded_starrocks.sql.query import plan_query, shown_columns
from embedded_starrocks.sql.rewrite import Plan

MAX_LENGTH = 20_000
_COMPARISONS = (
    TokenType.EQ,
    TokenType.NEQ,
    TokenType.LT,
    TokenType.LTE,
    TokenType.GT,
    TokenType.GTE,
)
_MARK = 1_987_654_000


def planned(context: Context, found: list[Token], sql: str) -> tuple[CachedPlan, Plan]:
    """The plan of a query. Raises SqlError as `plan_query` does, for rights on each call."""
    catalog = context.catalog
    cache = context.store.plans
    text, numbers = _template(found, sql)
    key = (text, context.session.database, context.session.user, context.roles)
    known = cache.get(catalog, key)
    if known is not None:
        context.require_reads(known.reads)
        return known, known.plan(numbers)
    if numbers:
        marked = _marked_plan(context, found, sql)
        if marked is not None:
            cache.put(catalog, key, marked)
            return marked, marked.plan(numbers)
    plan = plan_query(context, dialect.parse_tokens(found, sql))
    cached = CachedPlan([plan.sql], plan.reads, plan.has_largeint)
    if not numbers and not plan.is_volatile and len(text) <= MAX_LENGTH:
        cache.put(catalog, key, cached)
    return cached, plan


def describe(context: Context, cached: CachedPlan, plan: Plan) -> None:
    """Ask DuckDB for the columns of a plan. Raises duckdb.Error as the query would."""
    rows = context.session.connection.execute(f"DESCRIBE {plan.sql}").fetchall()
    note_columns(cached, rows)


def note_columns(cached: CachedPlan, described: Sequence[tuple[Any, ...]]) -> None:
    """Keep the columns of a result, from rows that begin with DuckDB's name and type."""
    has_sum = any(str(row[1]) == "HUGEINT" for row in described)
    cached.may_overflow = has_sum and not cached.has_largeint
    cached.columns = shown_columns(described, cached.has_largeint)


def _places(found: list[Token]) -> list[Token]:
    """Whole numbers behind a comparison: what may differ from query to query."""
    return [
        token
        for before, token in itertools.pairwise(found)
        if token.token_type == TokenType.NUMBER
        and before.token_type in _COMPARISONS
        and token.text.isdigit()
        and len(token.text) < 10
        and (token.text == "0" or token.text[0] != "0")
    ]


def _template(found: list[Token], sql: str) -> tuple[str, list[str]]:
    """The statement's text with its numbers taken out, and the numbers."""
    parts = []
    at = found[0].start
    places = _places(found)
    for token in places:
        parts.append(sql[at : token.start])
        at = token.end + 1
    parts.append(sql[at : found[-1].end + 1])
    return "\0".join(parts), [token.text for token in places]


def _marked_plan(context: Context, found: list[Token], sql: str) -> CachedPlan | None:
    """A plan for all numbers; None when the numbers' values have a say in it."""
    parts = []
    at = found[0].start
    marks = []
    for index, token in enumerate(_places(found)):
        mark = str(_MARK + index)
        marks.append(mark)
        parts += [sql[at : token.start], mark]
        at = token.end + 1
    parts.append(sql[at : found[-1].end + 1])
    text = "".join(parts)
    try:
        plan = plan_query(context, dialect.parse(text))
    except SqlError:
        # The mark itself may not fit; the statement as it was written decides.
        return None
    pieces = []
    rest = plan.sql
    for mark in marks:
        if rest.count(mark) != 1 or plan.sql.count(mark) != 1:
            return None
        before, rest = rest.split(mark)
        pieces.append(before)
    if plan.is_volatile:
        return None
    cached = CachedPlan([*pieces, rest], plan.reads, plan.has_largeint)
    try:
        describe(context, cached, plan)
    except duckdb.Error:
        # The statement as it was written says what is wrong.
        return None
    names = [column.name for column in cached.columns or ()]
    return None if any(mark in name for mark in marks for name in names) else cached
