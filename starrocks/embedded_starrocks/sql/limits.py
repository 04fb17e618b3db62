"""sql_select_limit: at most so many rows of a query that has no LIMIT of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from embedded_starrocks.mysql.resultset import ResultSet, Row
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.variables import UNLIMITED_ROWS


def limited(context: Context, found: list[Token], result: ResultSet) -> ResultSet:
    """The result, cut off where the session's variable says."""
    limit = context.variable("sql_select_limit")
    if limit == UNLIMITED_ROWS or not isinstance(limit, int) or _has_limit(found):
        return result
    result.chunks = _first(result.chunks, limit)
    return result


def _has_limit(found: list[Token]) -> bool:
    depth = 0
    for token in found:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0 and token.token_type == TokenType.LIMIT:
            return True
    return False


def _first(chunks: Iterable[list[Row]], limit: int) -> Iterator[list[Row]]:
    left = limit
    for chunk in chunks:
        if left <= 0:
            return
        yield chunk[:left]
        left -= len(chunk)
