"""Rows as CSV (RFC 4180): a header row, UTF-8, CRLF; text can never become a formula.

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also after white space and in
full-width form. Such text gets an apostrophe in front, as OWASP advises; so does text that begins
with apostrophes before that, which makes the change reversible: ``plain`` undoes it. Numbers stay
numbers, in text columns also. A null is an empty field, an empty text is ``""``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from emdata.tabular.arrow import series_of
from emdata.tabular.model import Column, Row, Table

_LEADING = r"[\s\x00-\x20\x{feff}\x{200b}\x{2060}]"
_FORMULA = rf"^'*(?:[\t\r\n\x00]|{_LEADING}*[=+\-@＝＋－＠])"
_NUMBER = r"^[+-]?[0-9]+(?:\.[0-9]+)?$"
_PYTHON_FORMULA = re.compile(re.sub(r"\\x\{(\w{4})\}", r"\\u\1", _FORMULA))
_INSTANT = "%Y-%m-%dT%H:%M:%S%.fZ"
LINE_END = "\r\n"


class CsvEncoder:
    """Encodes rows as they come; nothing is held."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self) -> bytes:
        """Return the header row."""
        frame = pl.DataFrame({column.name: [] for column in self._table.columns})
        return frame.write_csv(line_terminator=LINE_END).encode()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the rows' lines."""
        if not rows:
            return b""
        values = self._table.values(rows)
        frame = pl.DataFrame([_series(one, values[one.name]) for one in self._table.columns])
        text = [one.name for one in self._table.columns if one.kind in ("string", "json")]
        lines: str = frame.with_columns(_safe(name) for name in text).write_csv(
            include_header=False,
            line_terminator=LINE_END,
            datetime_format=_INSTANT,
            # A lone null would be an empty line, which readers skip.
            null_value='""' if len(self._table.columns) == 1 else "",
        )
        return lines.encode()

    def end(self) -> bytes:
        """Return nothing: a CSV file has no end of its own."""
        return b""


def plain(text: str) -> str:
    """Return a text column's value as it was before it was made safe."""
    return text[1:] if text.startswith("'") and _PYTHON_FORMULA.match(text) else text


def _series(column: Column, values: Sequence[Any]) -> pl.Series:
    if column.kind == "number" and any(isinstance(value, Decimal) for value in values):
        # All digits of a DECIMAL are shown; it is no text that a formula could hide in.
        texts = [None if value is None else format(value, "f") for value in values]
        return pl.Series(column.name, texts, pl.String)
    return series_of(column, values)


def _safe(name: str) -> pl.Expr:
    cell = pl.col(name)
    is_formula = cell.str.contains(_FORMULA) & ~cell.str.contains(_NUMBER)
    return pl.when(is_formula).then(pl.lit("'") + cell).otherwise(cell).alias(name)
