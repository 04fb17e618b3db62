"""Records on their way into a block: one by one, or as columns that a parser made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from emdata.commits import DatasetCounts
from emdata.contracts.base import Record, RecordEncoder
from emdata.contracts.identity import HASH_BYTES, utc_text
from emdata.derive.rows import RowEncoder
from stream_manager.buffer import Columns, Drafts
from stream_manager.buffer.blocks import BlockHead

if TYPE_CHECKING:
    from stream_manager.polls.poll import PollContext


class Keys(StrEnum):
    """What a stream does with the content of each key.

    COMPARED: an unchanged record is left out. REMEMBERED: PostgreSQL keeps the content, and
    somebody else compares. FORGOTTEN: every record is new, and nothing is kept.
    """

    COMPARED = "compared"
    REMEMBERED = "remembered"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Records of one contract as columns of equal length, checked like single records.

    payloads, key_hashes and content_hashes are what ``Record.encoded`` and ``Record.key_hash``
    give for each. newest_event: the newest event time among them, aware.
    """

    record: type[Record]
    kafka_keys: Sequence[str]
    record_keys: Sequence[str]
    versions: Sequence[str | None]
    payloads: Sequence[bytes]
    key_hashes: Sequence[bytes]
    content_hashes: Sequence[bytes]
    priorities: Sequence[int]
    newest_event: datetime | None = None

    def __len__(self) -> int:
        return len(self.payloads)


_Row = tuple[str, str | None, str, bytes, bytes, int, str | None]


class Pending:
    """What a poll has taken of one dataset: its counts, and the records that are not durable yet.

    taken: content hashes by key hash of what this poll accepted. is_keyed_alike: the Kafka key is
    the record's key; is_regional: a record may be about a state. is_hashed: keys are remembered at
    all; is_compared: an unchanged record is left out.
    """

    def __init__(self, context: PollContext, record: type[Record]) -> None:
        self.record, self.dataset, self._context = record, record.dataset, context
        self.counts = DatasetCounts()
        self.taken: dict[bytes, bytes] = {}
        self.is_keyed_alike = record.kafka_key is Record.kafka_key
        self.is_regional = (
            record.dataset.region is not None or record.region_code is not Record.region_code
        )
        self.is_hashed = context.keys is not Keys.FORGOTTEN
        self.is_compared = context.keys is Keys.COMPARED
        self.records = RecordEncoder(record)
        self._newest = ""
        self._records: list[_Row] = []
        self._payloads = bytearray()
        self._ends: list[int] = []

    def __len__(self) -> int:
        return len(self._records)

    @cached_property
    def rows(self) -> RowEncoder:
        """What encodes rows of the contract that come as JSON."""
        return RowEncoder(self.record)

    def add(
        self,
        key: str,
        version: str | None,
        kafka_key: str,
        key_hash: bytes,
        content_hash: bytes,
        priority: int,
        payload: bytes | bytearray,
        region: str | None,
    ) -> None:
        """Take one record."""
        self._records.append((key, version, kafka_key, key_hash, content_hash, priority, region))
        self._payloads += payload
        self._ends.append(len(self._payloads))
        if self.is_compared:
            self.taken[key_hash] = content_hash

    def note_event(self, value: object) -> None:
        """Note an event time: an instant, its text, or a day; anything else is no time."""
        if isinstance(value, str):
            self._newest = value if value > self._newest else self._newest
        elif isinstance(value, date):
            self.note_event(utc_text(_instant(value)))

    def cut(self) -> Drafts:
        """Return what was taken since the last cut, as a block; there is something."""
        context = self._context
        keys, versions, kafka_keys, key_hashes, hashes, priorities, regions = zip(
            *self._records, strict=True
        )
        payloads, ends = memoryview(self._payloads), self._ends
        self._records, self._payloads, self._ends = [], bytearray(), []
        return Drafts(
            self.dataset.name,
            context.source,
            context.stream,
            self.dataset.topic,
            context.poll_id,
            context.tenant,
            context.is_simulated,
            bytes(priorities),
            Columns(
                list(keys),
                _or_none(versions),
                None if self.is_keyed_alike else list(kafka_keys),
                b"".join(key_hashes),
                b"".join(hashes),
                _or_none(regions),
                ends,
                payloads,
            ),
        )

    def forget(self, drafts: Drafts) -> None:
        """Count a block that was refused as deferred; its keys are unknown again."""
        self.counts.deferred += len(drafts)
        hashes = drafts.columns.key_hashes
        for start in range(0, len(hashes), HASH_BYTES):
            self.taken.pop(hashes[start : start + HASH_BYTES], None)

    def balances(self, waiting: int) -> bool:
        """Whether the counts add up with so many records that are not booked yet."""
        return self.counts.records == self.counts.counted() + waiting

    def final(self, started_at: datetime) -> DatasetCounts:
        """Return the counts with the newest event time."""
        if self._newest:
            # Sources send stamps that lie ahead; "newest" must not be a promise about tomorrow.
            self.counts.newest_event_at = min(
                self._newest, utc_text(started_at + timedelta(days=1))
            )
        return self.counts


def with_head(counts: DatasetCounts, head: BlockHead) -> DatasetCounts:
    """Return counts with an accepted block."""
    return msgspec.structs.replace(
        counts,
        accepted=counts.accepted + len(head),
        first_seq=head.first_seq if counts.first_seq is None else counts.first_seq,
        last_seq=head.last_seq,
    )


def _or_none(values: tuple[str | None, ...]) -> list[str | None] | None:
    return None if values.count(None) == len(values) else list(values)


def _instant(value: date) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC)
