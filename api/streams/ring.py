"""The newest messages of a topic, in the order in which this process read them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from api.streams.position import Position


class Read(NamedTuple):
    """A message as it came from Kafka."""

    partition: int
    offset: int
    value: bytes


@dataclass(slots=True)
class Entry:
    """A message, the place after it, and what was made of it for listeners."""

    read: Read
    position: Position
    rendered: dict[Any, bytes | None] = field(default_factory=dict)
    _values: dict[str, Any] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The record's columns, decoded once for all listeners."""
        if self._values is None:
            self._values = msgspec.json.decode(self.read.value)
        return self._values


class Ring:
    """Bounded by count and bytes. Indexes count on for ever; the oldest entries go first."""

    def __init__(self, start: Position, most: int, most_bytes: int) -> None:
        self._entries: deque[Entry] = deque()
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self.first = 0
        self.start = start
        """The place before the oldest entry."""
        self.position = start
        """The place after the newest entry."""

    @property
    def next(self) -> int:
        """The index that the next entry gets."""
        return self.first + len(self._entries)

    def add(self, messages: Iterable[Read]) -> None:
        """Append messages; what no longer fits is forgotten."""
        for read in messages:
            self.position = self.position.after(read.partition, read.offset)
            self._entries.append(Entry(read, self.position))
            self._bytes += len(read.value)
        while self._entries and (len(self._entries) > self._most or self._bytes > self._most_bytes):
            oldest = self._entries.popleft()
            self._bytes -= len(oldest.read.value)
            self.first += 1
            self.start = oldest.position

    def goes_back(self, messages: Iterable[Read]) -> bool:
        """Whether a message has a place that was passed: the topic has been made anew."""
        return any(self.position.has_passed(one.partition, one.offset) for one in messages)

    def since(self, index: int, most: int) -> Sequence[Entry] | None:
        """Return up to ``most`` entries from an index on; None when some are forgotten."""
        if index < self.first:
            return None
        skipped = index - self.first
        return list(islice(self._entries, skipped, skipped + most))
