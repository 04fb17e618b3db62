"""Records column by column: what one poll brings of one dataset travels as one block.

Nothing on the hot path is done record by record that can be done once for a block: what its
records share is stored and encoded once, and a block is numbered, written, queued and confirmed
as a whole or in runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import msgspec

from emdata.commits import Commit, SeenUpdate
from emdata.contracts.identity import HASH_BYTES
from emdata.envelope import Accepted, Draft, Stencil
from stream_manager.buffer.acks import ranges


class Columns(msgspec.Struct, array_like=True):
    """The records of a block. Hashes are joined, 16 bytes a record.

    key_hashes: empty when keys are forgotten.
    versions, kafka_keys, regions: None when no record has one, or when the Kafka key is the
    record's key.
    payloads: of all records, one behind the other; ends: where each one ends. They are a view of
    what they were gathered in or read from, and the last field, for ``encode_batch``.
    """

    record_keys: list[str]
    versions: list[str | None] | None
    kafka_keys: list[str] | None
    key_hashes: bytes
    content_hashes: bytes
    regions: list[str | None] | None
    ends: list[int]
    payloads: memoryview

    def payload(self, position: int) -> bytes:
        """Return one record's payload."""
        return bytes(self.view(position))

    def view(self, position: int) -> memoryview:
        """Return one record's payload as a part of all."""
        ends = self.ends
        return self.payloads[ends[position - 1] if position else 0 : ends[position]]


class Drafts(msgspec.Struct):
    """A block at the door: records of one poll and dataset without numbers.

    priorities: one byte a record.
    """

    dataset: str
    source: str
    stream: str
    topic: str
    poll_id: str
    tenant: str
    is_simulated: bool
    priorities: bytes
    columns: Columns

    def __len__(self) -> int:
        return len(self.priorities)

    def size(self) -> int:
        """Return the bytes of all payloads."""
        return len(self.columns.payloads)


class BlockHead(msgspec.Struct, frozen=True, array_like=True):
    """What the records of a block share, and their priorities; seqs are dense from first_seq."""

    dataset: str
    source: str
    stream: str
    topic: str
    poll_id: str
    tenant: str
    is_simulated: bool
    first_seq: int
    accepted_at: str
    priorities: bytes

    def __len__(self) -> int:
        return len(self.priorities)

    @property
    def last_seq(self) -> int:
        """The number of the last record."""
        return self.first_seq + len(self.priorities) - 1


@dataclass(slots=True)
class Block:
    """Accepted records of one poll and dataset."""

    writer: int
    head: BlockHead
    columns: Columns

    def __len__(self) -> int:
        return len(self.head)

    def record(self, position: int) -> Accepted:
        """Return one record; positions count from 0 in the block."""
        head, columns = self.head, self.columns
        key = columns.record_keys[position]
        hashes = slice(position * HASH_BYTES, (position + 1) * HASH_BYTES)
        return Accepted(
            head.dataset,
            head.source,
            head.stream,
            head.topic,
            self.writer,
            head.first_seq + position,
            head.accepted_at,
            head.poll_id,
            key,
            None if columns.versions is None else columns.versions[position],
            key if columns.kafka_keys is None else columns.kafka_keys[position],
            columns.key_hashes[hashes],
            columns.content_hashes[hashes],
            head.priorities[position],
            head.is_simulated,
            columns.payload(position),
            head.tenant,
            None if columns.regions is None else columns.regions[position],
        )

    def records(self) -> list[Accepted]:
        """Return all records in order."""
        return [self.record(position) for position in range(len(self))]

    def seen_updates(self) -> list[SeenUpdate]:
        """Return what was accepted per key; nothing when keys are forgotten."""
        return seen_updates(self.columns, self.head.first_seq)

    def stencil(self, priority: int) -> Stencil:
        """Return what encodes values and headers of the block's records of a priority."""
        head = self.head
        return Stencil(
            dataset=head.dataset,
            source=head.source,
            writer=self.writer,
            accepted_at=head.accepted_at,
            poll_id=head.poll_id,
            priority=priority,
            is_simulated=head.is_simulated,
        )


def seen_updates(columns: Columns, first_seq: int) -> list[SeenUpdate]:
    """Return what was accepted per key; nothing when keys are forgotten."""
    count = len(columns.key_hashes) // HASH_BYTES
    versions = (columns.versions or [None] * count)[:count]
    return [
        SeenUpdate(
            columns.key_hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES],
            columns.content_hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES],
            version,
            first_seq + at,
        )
        for at, version in enumerate(versions)
    ]


CommitOf = Callable[[Sequence[BlockHead]], Commit]
"""A COMMIT that travels in one frame with its poll's last records: made of their heads, which know
their numbers. It may be called again when the frame was not durable, and must not raise."""


@dataclass(frozen=True, slots=True)
class LateCommit:
    """A COMMIT to be made once the blocks from ``first`` to ``end`` of its batch are numbered."""

    make: CommitOf
    first: int
    end: int


def number(drafts: Drafts, *, first_seq: int, accepted_at: str) -> BlockHead:
    """Return the head that a block of drafts gets by its acceptance."""
    return BlockHead(
        drafts.dataset,
        drafts.source,
        drafts.stream,
        drafts.topic,
        drafts.poll_id,
        drafts.tenant,
        drafts.is_simulated,
        first_seq,
        accepted_at,
        bytes(drafts.priorities),
    )


def blocks_of(drafts: Sequence[Draft]) -> list[Drafts]:
    """Join single drafts into blocks; their order stays."""
    return [_block(list(group)) for _, group in groupby(drafts, key=_shared)]


def _shared(draft: Draft) -> tuple[object, ...]:
    return (
        draft.dataset,
        draft.source,
        draft.stream,
        draft.topic,
        draft.poll_id,
        draft.tenant,
        draft.is_simulated,
    )


def _block(group: list[Draft]) -> Drafts:
    first = group[0]
    return Drafts(
        first.dataset,
        first.source,
        first.stream,
        first.topic,
        first.poll_id,
        first.tenant,
        first.is_simulated,
        bytes(draft.priority for draft in group),
        Columns(
            [draft.record_key for draft in group],
            _or_none([draft.record_version for draft in group]),
            [draft.kafka_key for draft in group],
            b"".join(draft.key_hash for draft in group),
            b"".join(draft.content_hash for draft in group),
            _or_none([draft.region for draft in group]),
            list(accumulate(len(draft.payload) for draft in group)),
            memoryview(b"".join(draft.payload for draft in group)),
        ),
    )


def _or_none(values: list[str | None]) -> list[str | None] | None:
    return None if all(value is None for value in values) else values


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block lies: its segment, its frame's offset there, and its index in the frame.

    base: the ordinal of the block's first record in the segment.
    """

    segment: int
    offset: int
    index: int
    base: int


@dataclass(slots=True)
class Run:
    """Records of one block and one priority that wait together, in order.

    positions: which records of the block. at: when they were accepted, monotonic seconds. size:
    their share of the frame's bytes. block is None once its bytes were given up for memory.
    """

    place: Place
    head: BlockHead
    priority: int
    positions: Sequence[int]
    at: float
    size: int
    block: Block | None

    @property
    def tenant(self) -> str:
        """Whose records they are."""
        return self.head.tenant

    @property
    def topic(self) -> str:
        """Where they go."""
        return self.head.topic

    def __len__(self) -> int:
        return len(self.positions)

    def split(self, count: int) -> Run:
        """Take the first ``count`` records away as a run of their own."""
        first = self.only(self.positions[:count])
        first.block, first.size = self.block, self.size * count // max(len(self), 1)
        self.positions, self.size = self.positions[count:], self.size - first.size
        return first

    def only(self, positions: Sequence[int]) -> Run:
        """Return a run of some of its records; their bytes are read again when they are needed."""
        return Run(self.place, self.head, self.priority, positions, self.at, 0, None)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Return its records as ranges (first, last) of ordinals in their segment, ascending."""
        base, positions = self.place.base, self.positions
        if isinstance(positions, range):
            yield base + positions[0], base + positions[-1]
        else:
            yield from ranges(sorted(base + position for position in positions))

    def order(self) -> tuple[int, int]:
        """Return what orders runs as in the log: segment, and ordinal of the first record."""
        return self.place.segment, self.place.base + self.positions[0]


def runs_of(
    place: Place,
    head: BlockHead,
    positions: Sequence[int],
    *,
    at: float,
    size: int,
    block: Block | None,
) -> Iterator[Run]:
    """Cut the named records of a block into runs, one a priority. size: bytes of the block."""
    priorities = head.priorities
    for priority in sorted(set(priorities)):
        if priorities.count(priority) == len(priorities):
            chosen: Sequence[int] = positions
        else:
            chosen = [position for position in positions if priorities[position] == priority]
        if chosen:
            yield Run(place, head, priority, chosen, at, size * len(chosen) // len(head), block)


def in_log_order(runs: Iterable[Run]) -> list[Run]:
    """Return runs as their records lie in the log."""
    return sorted(runs, key=Run.order)
