"""Parsing of StarRocks' SQL with sqlglot, with functions left as they were written.

sqlglot translates functions by meaning across twenty dialects, and is sometimes approximately
right (DATE_DIFF counts full units in StarRocks, boundaries in DuckDB). Here almost every function
stays a plain call with its StarRocks name, and `functions.py` says what it means.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.starrocks import StarRocks
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.starrocks import StarRocksParser
from sqlglot.tokenizer_core import Token, TokenType

from embedded_starrocks.errors import syntax_error, unsupported

# Functions with a syntax of their own, or whose node the generator gets right.
_KEPT = ("COALESCE", "COUNT", "EXTRACT", "STRUCT", "ARRAY", "UNNEST", "TABLE")
_KEPT_PARSERS = (
    "CAST",
    "CONVERT",
    "EXTRACT",
    "TRIM",
    "POSITION",
    "VALUES",
    "GROUP_CONCAT",
    "SUBSTRING",
    "SUBSTR",
)


class EmbeddedDialect(StarRocks):
    """StarRocks' grammar with functions left alone."""

    # BITMAP and HLL are no types of sqlglot's own.
    SUPPORTS_USER_DEFINED_TYPES = True
    # Indexes stay as they are written, for arrays and maps alike.
    INDEX_OFFSET = 0

    class Tokenizer(StarRocks.Tokenizer):
        # No statement is swallowed whole; `executor.py` reads the special ones word by word.
        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS: ClassVar[dict[str, TokenType]] = {
            **StarRocks.Tokenizer.KEYWORDS,
            "MINUS": TokenType.EXCEPT,
            "PARTITIONS": TokenType.PARTITION,
        }

    class Parser(StarRocksParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {
            name: builder for name, builder in StarRocksParser.FUNCTIONS.items() if name in _KEPT
        }
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser
            for name, parser in StarRocksParser.FUNCTION_PARSERS.items()
            if name in _KEPT_PARSERS
        }
        PARTITION_KEYWORDS: ClassVar[set[str]] = {"PARTITION", "PARTITIONS"}

        def _parse_partition(self) -> exp.Partition | None:
            """PARTITION p, PARTITION (p, q), PARTITIONS (p, q)."""
            index = self._index
            if not self._match_texts(self.PARTITION_KEYWORDS):
                return None
            if self._match(TokenType.L_PAREN, advance=False):
                self._retreat(index)
                return super()._parse_partition()
            return self.expression(exp.Partition(expressions=[self._parse_id_var()]))


_DIALECT = EmbeddedDialect()


def tokenize(sql: str) -> list[Token]:
    try:
        return _DIALECT.tokenize(sql)
    except TokenError as error:
        raise syntax_error(_first_line(error)) from None


def parse_tokens(found: list[Token], sql: str) -> exp.Expr:
    """One statement. Raises SqlError 1064 for what is not StarRocks' grammar."""
    for before, token in itertools.pairwise([None, *found]):
        opens = before is None or before.token_type == TokenType.L_PAREN
        if opens and token is not None and token.token_type == TokenType.FROM:
            raise syntax_error("a query begins with SELECT, not with FROM")
    try:
        trees = _DIALECT.parser().parse(_without_join_hints(found), sql)
    except ParseError as error:
        raise syntax_error(_first_line(error)) from None
    except RecursionError:
        raise syntax_error("the statement is nested too deeply") from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # sqlglot's builders trust that a call has its arguments; what they trip over is no SQL.
        raise syntax_error(f"unreadable statement ({type(error).__name__}: {error})") from None
    if len(trees) != 1 or trees[0] is None:
        raise syntax_error("expected one statement")
    tree: exp.Expr = trees[0]
    return tree


def _without_join_hints(found: list[Token]) -> list[Token]:
    """JOIN [broadcast] t as JOIN t; such hints change no answer."""
    kept: list[Token] = []
    skipped = 0
    for index, token in enumerate(found):
        if skipped:
            skipped -= 1
        elif (
            token.token_type == TokenType.L_BRACKET
            and kept
            and kept[-1].token_type == TokenType.JOIN
            and [each.token_type for each in found[index + 2 : index + 3]] == [TokenType.R_BRACKET]
        ):
            skipped = 2
        else:
            kept.append(token)
    return kept


def parse(sql: str) -> exp.Expr:
    return parse_tokens(tokenize(sql), sql)


def partition_names(table: exp.Expr) -> tuple[str, ...]:
    """The names of PARTITION (...) behind a table, which loses them. Raises SqlError."""
    partition = table.args.get("partition")
    if not partition:
        return ()
    table.set("partition", None)
    for part in partition.expressions:
        if not isinstance(part, exp.Column | exp.Identifier):
            raise unsupported(f"PARTITION ({part.sql('starrocks')[:60]}); name the partition")
    return tuple(part.name for part in partition.expressions)


def split(found: list[Token]) -> list[list[Token]]:
    """Tokens of each statement; empty statements are dropped."""
    statements: list[list[Token]] = [[]]
    for token in found:
        if token.token_type == TokenType.SEMICOLON:
            statements.append([])
        else:
            statements[-1].append(token)
    return [statement for statement in statements if statement]


def text_of(found: list[Token], sql: str) -> str:
    """The source text that the tokens were cut from."""
    return sql[found[0].start : found[-1].end + 1]


def _first_line(error: Exception) -> str:
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        near = f"{first.get('highlight') or ''}"
        return (
            f"{first.get('description')} at line {first.get('line')}, "
            f"column {first.get('col')}, near '{near}'"
        )
    return str(error).splitlines()[0] if str(error) else "unreadable statement"


__all__ = [
    "EmbeddedDialect",
    "Token",
    "TokenType",
    "parse",
    "parse_tokens",
    "partition_names",
    "split",
    "text_of",
    "tokenize",
]
