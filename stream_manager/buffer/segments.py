"""Bookkeeping of the segment files: what must happen before one of them may be removed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Segment:
    """One segment.

    cut: the older segment whose refused tail is named in this one's header. is_fresh: it holds
    no batch yet, so that a batch larger than a segment still finds room.
    """

    number: int
    size: int
    is_closed: bool = False
    records: int = 0
    undelivered: int = 0
    unapplied: int = 0
    open_polls: set[str] = field(default_factory=set)
    cut: int | None = None
    is_fresh: bool = True

    @property
    def is_done(self) -> bool:
        """Whether nothing in it is needed any more."""
        done = self.undelivered == 0 and self.unapplied == 0 and not self.open_polls
        return self.is_closed and done


class Segments:
    """All segments of a log; thread-safe."""

    def __init__(self) -> None:
        self._segments: dict[int, Segment] = {}
        self._guard = threading.Lock()

    def add(self, segment: Segment) -> None:
        """Add a segment; the one before it is closed."""
        with self._guard:
            before = self._segments.get(max(self._segments, default=-1))
            if before is not None:
                before.is_closed = True
            self._segments[segment.number] = segment

    def last(self) -> Segment | None:
        """Return the newest segment."""
        with self._guard:
            return self._segments[max(self._segments)] if self._segments else None

    def booked(
        self, segment: Segment, *, size: int, records: int, frames: int, polls: set[str]
    ) -> None:
        """Note a durable batch: its bytes, records, frames for PostgreSQL and open polls."""
        with self._guard:
            segment.size += size
            segment.is_fresh = False
            segment.records += records
            segment.undelivered += records
            segment.unapplied += frames
            segment.open_polls |= polls

    def delivered(self, number: int, records: int) -> None:
        """Note that Kafka has some records of a segment."""
        with self._guard:
            self._segments[number].undelivered -= records

    def applied(self, number: int, *, poll_id: str | None) -> None:
        """Note that PostgreSQL has one COMMIT (``poll_id``) or dead letter of a segment."""
        with self._guard:
            self._segments[number].unapplied -= 1
            if poll_id is not None:
                for other in self._segments.values():
                    other.open_polls.discard(poll_id)

    def take_done(self) -> list[int]:
        """Forget the segments that nobody needs and return their numbers, oldest first."""
        with self._guard:
            done = []
            for number in sorted(self._segments):
                segment = self._segments[number]
                # A refused tail must stay named for as long as its segment can be read again.
                if segment.is_done and segment.cut not in self._segments:
                    del self._segments[number]
                    done.append(number)
            return done

    def size_bytes(self) -> int:
        """Return the bytes of all segments."""
        with self._guard:
            return sum(segment.size for segment in self._segments.values())

    def undelivered(self) -> int:
        """Return how many records Kafka has not confirmed."""
        with self._guard:
            return sum(segment.undelivered for segment in self._segments.values())

    def __len__(self) -> int:
        with self._guard:
            return len(self._segments)
