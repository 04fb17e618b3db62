"""Many rows at once, ready for the buffer: what a columnar source gives instead of records."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emdata.contracts.base import Record
from emdata.contracts.identity import hash_of, short_hash
from emdata.errors import EmdataError
from scrapers.columnar_csv import CsvTable
from stream_manager.polls.prepared import PreparedBatch

if TYPE_CHECKING:
    import polars as pl

ROWS_AT_ONCE = 4_000
"""Rows between two looks at what else is waiting; the urgent ones must not wait for long."""


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Some rows of one document: what was parsed, as columns, and what was rejected."""

    batch: PreparedBatch
    rejected: list[tuple[bytes, EmdataError]]


@dataclass(slots=True)
class SentRows:
    """What is sent of some rows, as columns: keys, versions, values and priorities."""

    kafka_keys: list[str]
    record_keys: list[str]
    versions: list[str | None]
    payloads: list[bytes]
    priorities: list[int]

    def insert(self, index: int, record: Record) -> None:
        """Put what is sent of one record at ``index``."""
        self.kafka_keys.insert(index, record.kafka_key())
        self.record_keys.insert(index, record.record_key())
        self.versions.insert(index, record.version_text())
        self.payloads.insert(index, record.payload())
        self.priorities.insert(index, int(record.priority()))


def prepare(
    record: type[Record],
    table: CsvTable,
    sent: pl.DataFrame,
    versions: Sequence[str],
    parse: Callable[[bytes], Record],
) -> Iterator[PreparedRows]:
    """Yield the rows of a table in their order, some at a time.

    sent: kafka_key, record_key, payload, event (text in UTC), rank (index into ``versions``),
    priority and is_sure, a row per row of the table's frame. parse: for rows that are not sure or
    not plain; an EmdataError of it rejects that row. The contract hashes all its fields.
    """
    positions = table.positions
    slow = list(table.odd)
    if not sent["is_sure"].all():
        doubtful = (~sent["is_sure"]).arg_true().to_list()
        slow = sorted([*slow, *(row if positions is None else positions[row] for row in doubtful)])
        kept = sent["is_sure"].arg_true().to_list()
        positions = kept if positions is None else [positions[row] for row in kept]
        sent = sent.filter(sent["is_sure"])
    where: Sequence[int] = range(sent.height) if positions is None else positions
    for start in range(0, table.height, ROWS_AT_ONCE):
        end = start + ROWS_AT_ONCE
        first, last = bisect_left(where, start), bisect_left(where, end)
        part = sent.slice(first, last - first)
        rows, newest = sent_rows(part, versions), _newest(part)
        inserted, rejected = 0, []
        for position in slow[bisect_left(slow, start) : bisect_left(slow, end)]:
            raw = table.record(position)
            try:
                found = parse(raw)
            except EmdataError as error:
                rejected.append((raw, error))
                continue
            rows.insert(bisect_left(where, position) - first + inserted, found)
            event = getattr(found, record.dataset.event_time)
            newest = event if newest is None else max(newest, event)
            inserted += 1
        yield PreparedRows(_batch(record, rows, newest), rejected)


def sent_rows(sent: pl.DataFrame, versions: Sequence[str]) -> SentRows:
    """Take the columns of ``prepare`` out as they go to Kafka."""
    import polars as pl

    return SentRows(
        kafka_keys=sent["kafka_key"].to_list(),
        record_keys=sent["record_key"].to_list(),
        versions=[versions[rank] for rank in sent["rank"].to_list()],
        payloads=sent["payload"].cast(pl.Binary).to_list(),
        priorities=sent["priority"].to_list(),
    )


def _newest(sent: pl.DataFrame) -> datetime | None:
    text = sent["event"].max()
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if isinstance(text, str) else None


def _batch(record: type[Record], rows: SentRows, newest: datetime | None) -> PreparedBatch:
    return PreparedBatch(
        record=record,
        kafka_keys=rows.kafka_keys,
        record_keys=rows.record_keys,
        versions=rows.versions,
        payloads=rows.payloads,
        key_hashes=[short_hash(key.encode()) for key in rows.record_keys],
        content_hashes=[hash_of(payload) for payload in rows.payloads],
        priorities=rows.priorities,
        newest_event=newest,
    )
