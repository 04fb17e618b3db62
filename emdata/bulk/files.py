"""Writes the files of one day: reads the rows once, in order, and holds one row group of them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pymysql.cursors

from emdata.bulk.manifest import Span, WriterRange
from emdata.contracts.base import Record
from emdata.derive.starrocks import quote, raw_table
from emdata.tabular.csv import CsvEncoder
from emdata.tabular.model import Row, Table, TableEncoder
from emdata.tabular.parquet import ParquetEncoder
from emdata.warehouse import Warehouse

BATCH = 5_000
CSV, PARQUET = "csv.gz", "parquet"
MEDIA_TYPES = {CSV: "application/gzip", PARQUET: "application/vnd.apache.parquet"}
GZIP_LEVEL = 6


@dataclass
class Written:
    """What came out: where each file lies by suffix, with its SHA-256, and what the rows were."""

    files: dict[str, tuple[Path, str]] = field(default_factory=dict)
    rows: int = 0
    writers: tuple[WriterRange, ...] = ()
    accepted: Span | None = None
    events: Span | None = None


def day_rows(
    warehouse: Warehouse, record: type[Record], table: Table, day: date
) -> Iterator[Sequence[Row]]:
    """Yield the rows of a day in batches, ordered by writer and sequence number.

    Raises as Warehouse does.
    """
    names = ", ".join(map(quote, table.layout))
    sql = f"SELECT {names} FROM {raw_table(record)} WHERE accepted_on = %s ORDER BY `writer`, `seq`"
    with (
        warehouse.connect() as connection,
        connection.cursor(pymysql.cursors.SSCursor) as cursor,
    ):
        cursor.execute(sql, (day,))
        while batch := cursor.fetchmany(BATCH):
            yield batch


def write_day(
    batches: Iterator[Sequence[Row]], table: Table, event_time: str, folder: Path
) -> Written:
    """Write the rows into ``folder`` as Parquet and as CSV.gz."""
    counts = _Counts(table, event_time)
    encoders: dict[str, TableEncoder] = {PARQUET: ParquetEncoder(table), CSV: CsvEncoder(table)}
    paths = {suffix: folder / f"day.{suffix}" for suffix in encoders}
    with ExitStack() as stack:
        files = {suffix: _opened(stack, paths[suffix], suffix) for suffix in encoders}
        for suffix, encoder in encoders.items():
            files[suffix].write(encoder.begin())
        for rows in batches:
            counts.add(rows)
            for suffix, encoder in encoders.items():
                files[suffix].write(encoder.rows(rows))
        for suffix, encoder in encoders.items():
            files[suffix].write(encoder.end())
    written = counts.result()
    written.files = {suffix: (path, _sha256(path)) for suffix, path in paths.items()}
    return written


class _Counts:
    def __init__(self, table: Table, event_time: str) -> None:
        self._at = {name: table.index[name] for name in ("writer", "seq", "accepted_at")}
        self._at["event"] = table.index.get(event_time, self._at["accepted_at"])
        self._writers: dict[int, WriterRange] = {}
        self._spans: dict[str, tuple[Any, Any]] = {}
        self._rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += len(rows)
        writer_at, seq_at = self._at["writer"], self._at["seq"]
        by_writer: dict[int, list[int]] = {}
        for row in rows:
            by_writer.setdefault(row[writer_at], []).append(row[seq_at])
        for writer, seqs in by_writer.items():
            known = self._writers.get(writer)
            self._writers[writer] = WriterRange(
                writer=writer,
                rows=len(seqs) + (known.rows if known else 0),
                first_seq=min(*seqs, known.first_seq if known else seqs[0]),
                last_seq=max(*seqs, known.last_seq if known else seqs[0]),
            )
        for name in ("accepted_at", "event"):
            values = [row[self._at[name]] for row in rows if row[self._at[name]] is not None]
            if values:
                low, high = self._spans.get(name, (values[0], values[0]))
                self._spans[name] = min(low, *values), max(high, *values)

    def result(self) -> Written:
        return Written(
            rows=self._rows,
            writers=tuple(self._writers[writer] for writer in sorted(self._writers)),
            accepted=self._span("accepted_at"),
            events=self._span("event"),
        )

    def _span(self, name: str) -> Span | None:
        span = self._spans.get(name)
        return None if span is None else Span(earliest=_text(span[0]), latest=_text(span[1]))


def _opened(stack: ExitStack, path: Path, suffix: str) -> BinaryIO:
    plain = stack.enter_context(path.open("wb"))
    if suffix != CSV:
        return plain
    # No name and no time in it: the same rows are the same bytes.
    zipped = gzip.GzipFile("", "wb", GZIP_LEVEL, plain, mtime=0)
    return stack.enter_context(zipped)  # type: ignore[return-value]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(value: Any) -> str:
    return value.isoformat() + "Z" if isinstance(value, datetime) else str(value)
