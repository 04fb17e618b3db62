"""A listener: every message of a topic from its place on, each once, in Kafka's order of keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import islice

from api.streams.position import Position
from api.streams.ring import Entry, Read, Ring
from api.streams.tail import Tail, read_of
from emdata.transport.kafka import KafkaAddress
from stream_manager.derived.topic import Offsets, TopicReader

CHUNK = 200
OLDER = 500
"""Messages of one visit to Kafka."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that cannot be sent any more: Kafka's retention removed them, or a new topic."""

    partition: int
    asked: int
    first: int


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether the broker answers; sent when it changes."""

    is_connected: bool


Happening = Sequence[Entry] | Gap | Connection


class Follower:
    """Yields what happens on a topic from a position on; None: from now on.

    ``older``: how many followers may read old messages from Kafka at a time.
    """

    def __init__(
        self,
        tail: Tail,
        ring: Ring,
        start: Position | None,
        kafka: KafkaAddress,
        older: asyncio.Semaphore,
    ) -> None:
        self._tail, self._ring, self._kafka, self._older = tail, ring, kafka, older
        self.position = ring.position if start is None else start
        self._index: int | None = ring.next if start is None else None

    async def happenings(self) -> AsyncGenerator[Happening, None]:
        """Yield entries in lists as they come, and what else a listener must know.

        Raises KafkaUnavailable when old messages cannot be read.
        """
        was_connected = True
        while True:
            news = self._tail.news()
            if self._tail.is_connected != was_connected:
                was_connected = self._tail.is_connected
                yield Connection(was_connected)
            if self._tail.ring is not None and self._tail.ring is not self._ring:
                yield self._start_anew(self._tail.ring)
            if self._index is None:
                for gap in await self._gaps():
                    yield gap
            if self._index is None or self._index < self._ring.first:
                # The ring moves on while old messages are read.
                while not self.position.reaches(self._ring.start):
                    if older := await self._catch_up():
                        yield older
                self._index = self._ring.first
            found = self._ring.since(self._index, CHUNK)
            if found:
                self._index += len(found)
                fresh = self._unseen(found)
                if fresh:
                    yield fresh
            elif found is not None:
                # Shielded: everybody waits for the same future, and waiting may be cancelled.
                await asyncio.shield(news)

    def _unseen(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Leave out what lies before this listener's place, and keep that place in its ids."""
        if self._ring_is_ahead(entries[0]):
            self.position = entries[-1].position
            return entries
        fresh = []
        for entry in entries:
            read = entry.read
            if not self.position.has_passed(read.partition, read.offset):
                self.position = self.position.after(read.partition, read.offset)
                fresh.append(Entry(read, self.position, entry.rendered))
        return fresh

    def _ring_is_ahead(self, entry: Entry) -> bool:
        before = entry.position.offsets | {entry.read.partition: entry.read.offset}
        return Position(before).reaches(self.position)

    async def _catch_up(self) -> Sequence[Entry]:
        """Read some of what is older than the ring from Kafka; a slow listener holds no reader."""
        end = Position(self._ring.start.offsets)
        async with self._older:
            found = await asyncio.to_thread(self._read, self.position.offsets, end.offsets)
        entries = []
        for read in filter(None, found):
            self.position = self.position.after(read.partition, read.offset)
            entries.append(Entry(read, self.position))
        if len(found) < OLDER:
            self.position = self.position.furthest(end)
        return entries

    def _read(self, start: Offsets, end: Offsets) -> list[Read | None]:
        reader = TopicReader(self._kafka, self._tail.topic)
        try:
            return [read_of(message) for message in islice(reader.read(start, end), OLDER)]
        finally:
            reader.close()

    async def _gaps(self) -> list[Gap]:
        """Go to the first message that is there, where the asked one is not."""
        async with self._older:
            bounds = await asyncio.to_thread(self._bounds)
        found = []
        for number, (first, end) in bounds.items():
            asked = self.position.offsets.get(number, 0)
            if not first <= asked <= end:
                found.append(Gap(number, asked, first))
                self.position.offsets[number] = first
        return found

    def _bounds(self) -> dict[int, tuple[int, int]]:
        reader = TopicReader(self._kafka, self._tail.topic)
        try:
            return reader.bounds()
        finally:
            reader.close()

    def _start_anew(self, ring: Ring) -> Gap:
        """Go on in a topic that was made anew, from its begin."""
        asked = max(self.position.offsets.values(), default=0)
        self._ring, self._index, self.position = ring, ring.first, Position(ring.start.offsets)
        return Gap(0, asked, min(ring.start.offsets.values(), default=0))
