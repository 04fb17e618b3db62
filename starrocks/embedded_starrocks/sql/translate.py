"""DuckDB's errors as the numbers StarRocks' clients know."""

from __future__ import annotations

import re

import duckdb

from embedded_starrocks.errors import (
    SqlError,
    execution_error,
    interrupted,
    semantic_error,
    unknown_column,
)

_COLUMN = re.compile(r'Referenced column "([^"]+)" (?:not found|was not found)', re.IGNORECASE)
_ADVICE = re.compile(r"\s+Use \"SET |\s+Did you mean ")
_NO_COLUMN = re.compile(r'does not have a column named "([^"]+)"', re.IGNORECASE)


def translated(error: duckdb.Error) -> SqlError:
    """The SqlError to send for an error of DuckDB."""
    # Behind these words DuckDB advises settings of its own, which no client may change.
    text = _ADVICE.split(str(error).split("\n\nLINE")[0])[0]
    if isinstance(error, duckdb.InterruptException):
        return interrupted()
    if isinstance(error, duckdb.BinderException):
        missing = _COLUMN.search(text) or _NO_COLUMN.search(text)
        if missing:
            return unknown_column(missing.group(1), "statement")
        return semantic_error(_bare(text))
    if isinstance(error, duckdb.CatalogException | duckdb.ParserException):
        return semantic_error(_bare(text))
    if isinstance(error, duckdb.ConstraintException | duckdb.ConversionException):
        return SqlError(1064, "HY000", f"Data is refused: {_bare(text)}")
    if isinstance(error, duckdb.OutOfMemoryException):
        # What DuckDB advises are settings of its own, which no client may change.
        reason = _bare(text).partition("Possible solutions")[0].strip()
        return execution_error(
            f"Memory limit exceeded: {reason}; a larger --memory-limit at the server's start helps"
        )
    return execution_error(_bare(text))


def _bare(text: str) -> str:
    """Without DuckDB's class of the error and our internal names."""
    text = re.sub(r"^[A-Za-z ]+ Error: ", "", text)
    return text.replace('"__starrocks_fn".', "").replace("__starrocks_fn.", "")
