"""CSV as columns of text, for tables whose rows are too many to be looked at one by one.

Only plain rows become columns: ASCII, no quotes, as many fields as the header. The others keep
their bytes and go the way of single rows, so a fast answer is never another answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from emdata.errors import RowError
from scrapers import wire

if TYPE_CHECKING:
    import polars as pl

Convert = Callable[[str], str]

_SPECIAL = re.compile(rb'["\r]')
_FEW = 8
"""Up to so many different texts are compared one after the other, more are looked up."""

_PLAIN_NUMBER = r"^-?[0-9]{1,9}(\.[0-9]{1,12})?$"
_SMALLEST = 1e-3
"""Below, and from a billion on, writers of numbers differ in when they use an exponent."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV cut into plain rows, as columns of text, and others.

    frame: the plain rows. positions: which record each of them is; None: all records are plain.
    odd: the records that are not plain.
    """

    body: bytes
    frame: pl.DataFrame
    positions: Sequence[int] | None = None
    odd: Sequence[int] = ()

    @property
    def height(self) -> int:
        """How many records there are."""
        return self.frame.height + len(self.odd)

    def record(self, index: int) -> bytes:
        """Return the bytes of one record after the header, without its end of line."""
        return self._records[index].rstrip(b"\r")

    @cached_property
    def _records(self) -> Sequence[bytes]:
        """All records; cut only when some are asked for."""
        if self.positions is None:  # then nothing but a line ends a record
            return self.body.split(b"\n")[1:]
        return [bytes(raw) for raw in wire.csv_rows(self.body)]


def read_table(body: bytes, names: Sequence[str]) -> CsvTable:
    """Read a CSV with a header of ``names``, without BOM and without blanks at its ends.

    A row that ends in nothing is looked at more closely, so the last column should be one that is
    always filled. Raises DocumentError when a quote never closes.
    """
    frame = _plain_frame(body, names)
    if frame is not None:
        return CsvTable(body, frame)
    records = wire.csv_rows(body)
    commas = len(names) - 1
    plain, odd, lines = [], [], [b""]
    for index, raw in enumerate(records):
        record = bytes(raw)
        if record.count(b",") == commas and record.isascii() and not _SPECIAL.search(record):
            plain.append(index)
            lines.append(record)
        else:
            odd.append(index)
    return CsvTable(body, _frame(b"\n".join(lines), names), plain, odd)


def _plain_frame(body: bytes, names: Sequence[str]) -> pl.DataFrame | None:
    """Return the rows, or None when there is a doubt about where a row or a field ends."""
    import polars as pl

    if not body.isascii() or b'"' in body:
        return None
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
        if b"\r" in body:
            return None
    rest = max(names, key=len) + "_"  # takes what a row has beyond the header
    try:
        frame = _frame(body, (*names, rest))
    except pl.exceptions.PolarsError:
        return None  # a row with two fields too many
    is_whole = frame.select((pl.col(names[-1]) != "").all() & (pl.col(rest) == "").all()).item()
    return frame.drop(rest) if is_whole else None


def _frame(body: bytes, names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    schema = dict.fromkeys(names, pl.String)
    if b"\n" not in body:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(
        body,
        has_header=False,
        skip_rows=1,
        schema=schema,
        quote_char=None,
        empty_string_is_null=False,
        missing_columns="insert",
        extra_columns="raise",
    )


def replaced(
    frame: pl.DataFrame, wanted: Mapping[str, tuple[str, Convert]]
) -> dict[str, pl.Expr | str]:
    """Return columns of converted texts; every different text is converted once.

    wanted: name of the new column -> the column it is made of, and how a text is converted. What
    raises RowError becomes null, so that the single row can say why. A column of one value is
    given as that text.
    """
    import polars as pl

    sources = dict.fromkeys(source for source, _ in wanted.values())
    different = frame.select(pl.col(name).unique().implode() for name in sources)
    return {
        name: _replacement(source, different[source][0], convert)
        for name, (source, convert) in wanted.items()
    }


def _replacement(source: str, old: pl.Series, convert: Convert) -> pl.Expr | str:
    import polars as pl

    pairs = [(text, new) for text in old if (new := _converted(text, convert)) is not None]
    if len(pairs) == len(old) == 1:
        return pairs[0][1]
    if len(pairs) > _FEW:
        texts, news = zip(*pairs, strict=True)
        return pl.col(source).replace_strict(texts, news, default=None, return_dtype=pl.String)
    found: pl.Expr = pl.lit(None, dtype=pl.String)
    for text, new in pairs:
        found = pl.when(pl.col(source) == text).then(pl.lit(new)).otherwise(found)
    return found


def _converted(text: str, convert: Convert) -> str | None:
    try:
        return convert(text)
    except RowError:
        return None


def number(name: str) -> pl.Expr:
    """Return a column of texts as numbers, null where it is none."""
    import polars as pl

    return pl.col(name).cast(pl.Float64, strict=False)


def is_sure_number(name: str, text: str, bounds: tuple[float, float], *, or_blank: bool) -> pl.Expr:
    """Tell whether a number is within its bounds and written by every encoder in the same way.

    name: column of numbers; text: the column of texts it was read from, which may be blank. Zeros
    are in doubt, because one may be negative.
    """
    import polars as pl

    low, high = bounds
    value = pl.col(name)
    is_sure = value.is_between(max(low, _SMALLEST), high)
    if low < 0:
        is_sure = is_sure | value.is_between(low, -_SMALLEST)
    return is_sure.fill_null(value=False) | ((pl.col(text) == "") if or_blank else False)


def odd_numbers(frame: pl.DataFrame, originals: Mapping[str, str]) -> pl.Series | None:
    """Tell which rows have a number that is not plain digits, which parsers may read differently.

    originals: columns of texts by the name of the column that has their numbers written back.
    None: there is no such row. Mostly a number is written back as it was; only the rest is
    looked at.
    """
    import polars as pl

    plain = frame.select(
        pl.col(text).filter(pl.col(text) != pl.col(back)).str.contains(_PLAIN_NUMBER).all()
        for back, text in originals.items()
    )
    suspects = [text for text in plain.columns if not plain[text][0]]
    if not suspects:
        return None
    return frame.select(
        pl.any_horizontal(
            (pl.col(name) != "") & ~pl.col(name).str.contains(_PLAIN_NUMBER) for name in suspects
        )
    ).to_series()
