"""What StarRocks' CREATE TABLE and ALTER TABLE say and sqlglot's grammar has not.

The words are taken out of the tokens before they are parsed: how values are aggregated, expressions
of generated columns, RANGE and LIST partitions, rollups.
"""

from __future__ import annotations

import dataclasses

from embedded_starrocks.errors import semantic_error
from embedded_starrocks.sql.dialect import Token, TokenType

AGGREGATES = (
    "SUM",
    "MAX",
    "MIN",
    "REPLACE",
    "REPLACE_IF_NOT_NULL",
    "HLL_UNION",
    "BITMAP_UNION",
    "PERCENTILE_UNION",
)
_CLAUSES = ("DISTRIBUTED", "ORDER", "PROPERTIES", "REFRESH", "COMMENT", "ROLLUP", "AS", "SELECT")


@dataclasses.dataclass
class TableWords:
    """The taken words, by column in lower case; and the tokens that are left."""

    tokens: list[Token]
    aggregates: dict[str, str] = dataclasses.field(default_factory=dict)
    generated: dict[str, str] = dataclasses.field(default_factory=dict)
    partition_by: str = ""


def take_table_words(found: list[Token], sql: str) -> TableWords:
    """The words of a CREATE TABLE; other statements come back as they are."""
    words = TableWords(list(found))
    if [token.text.upper() for token in found[:2]] not in (["CREATE", "TABLE"],):
        return words
    start = next((i for i, t in enumerate(found) if t.token_type == TokenType.L_PAREN), None)
    if start is None or _comes_before(found, start, ("AS", "LIKE")):
        words.tokens = _without_clauses(list(found), 2, sql, words)
        return words
    end = matching(found, start)
    columns: list[Token] = []
    for index, part in enumerate(split_top(found[start + 1 : end])):
        comma = 1 if index else 0
        columns += [*part[:comma], *take_column_words(part[comma:], sql, words)]
    rest = _without_clauses(found[end:], 1, sql, words)
    words.tokens = [*found[: start + 1], *columns, *rest]
    return words


def _comes_before(found: list[Token], end: int, wanted: tuple[str, ...]) -> bool:
    return any(is_word(token, *wanted) for token in found[:end])


def is_word(token: Token, *wanted: str) -> bool:
    """Whether a token is one of the words, and neither a string nor a quoted name."""
    quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
    return not quoted and token.text.upper() in wanted


def matching(found: list[Token], start: int) -> int:
    """The index of the parenthesis that closes the one at `start`."""
    depth = 0
    for index in range(start, len(found)):
        if found[index].token_type == TokenType.L_PAREN:
            depth += 1
        elif found[index].token_type == TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                return index
    raise semantic_error("a parenthesis is not closed")


def split_top(found: list[Token]) -> list[list[Token]]:
    """Parts between commas outside of parentheses and <>; all but the first keep their comma."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        if token.token_type in (TokenType.L_PAREN, TokenType.LT, TokenType.L_BRACKET):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.GT, TokenType.R_BRACKET):
            depth -= 1
        if token.token_type == TokenType.COMMA and depth == 0:
            parts.append([token])
        else:
            parts[-1].append(token)
    return parts


def take_column_words(part: list[Token], sql: str, words: TableWords) -> list[Token]:
    """One column definition without its aggregate and its generating expression."""
    if len(part) < 2 or is_word(part[0], "INDEX", "KEY", "PRIMARY", "UNIQUE"):
        return part
    name = part[0].text.lower()
    kept: list[Token] = []
    depth = 0
    at = 0
    while at < len(part):
        token = part[at]
        if token.token_type in (TokenType.L_PAREN, TokenType.LT):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.GT):
            depth -= 1
        if depth == 0 and at > 1 and is_word(token, *AGGREGATES):
            words.aggregates[name] = token.text.upper()
        elif depth == 0 and at > 1 and is_word(token, "AS"):
            at = _take_expression(part, at + 1, name, sql, words)
            continue
        else:
            kept.append(token)
        at += 1
    return kept


def _take_expression(part: list[Token], at: int, name: str, sql: str, words: TableWords) -> int:
    """Remember the expression from `at` to COMMENT or the end; where the definition goes on."""
    end = at
    while end < len(part) and not is_word(part[end], "COMMENT"):
        end += 1
    if end == at:
        raise semantic_error(f"generated column {name} has no expression")
    words.generated[name] = sql[part[at].start : part[end - 1].end + 1]
    return end


def _without_clauses(found: list[Token], at: int, sql: str, words: TableWords) -> list[Token]:
    """The clauses without ROLLUP (...) and without PARTITION BY RANGE or LIST.

    Partitions made in advance, PARTITION BY date_trunc(...) (START ...), are left out, too: they
    are made when rows come.
    """
    kept = found[:at]
    while at < len(found):
        if is_word(found[at], "ROLLUP") and at + 1 < len(found):
            at = matching(found, at + 1) + 1
        elif found[at].token_type == TokenType.L_PAREN and _opens(found, at, "START"):
            at = matching(found, at) + 1
        elif is_word(found[at], "SELECT", "WITH"):
            return [*kept, *found[at:]]
        elif start := _range_start(found, at):
            end = _clause_end(found, start)
            words.partition_by = sql[found[start].start : found[end - 1].end + 1]
            at = end
        else:
            kept.append(found[at])
            at += 1
    return kept


def _opens(found: list[Token], at: int, word: str) -> bool:
    return at + 1 < len(found) and is_word(found[at + 1], word)


def _range_start(found: list[Token], at: int) -> int:
    """Where RANGE or LIST stands when PARTITION BY stands at `at`, else 0."""
    if not is_word(found[at], "PARTITION", "PARTITION BY"):
        return 0
    for index in range(at + 1, min(at + 3, len(found))):
        if is_word(found[index], "RANGE", "LIST"):
            return index
    return 0


def _clause_end(found: list[Token], at: int) -> int:
    depth = 0
    while at < len(found):
        if found[at].token_type in (TokenType.L_PAREN, TokenType.L_BRACKET):
            depth += 1
        elif found[at].token_type in (TokenType.R_PAREN, TokenType.R_BRACKET):
            depth -= 1
        elif depth == 0 and is_word(found[at], *_CLAUSES):
            return at
        at += 1
    return at
