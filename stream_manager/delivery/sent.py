"""A run on its way to Kafka, and what its reports said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

from confluent_kafka import KafkaError, Message

from emdata.clock import Monotonic
from stream_manager.buffer import Run
from stream_manager.delivery.producers import Lane

_SEQ = re.compile(rb'"seq":(\d+)')


@dataclass(slots=True, eq=False)
class Sent:
    """A run that a producer has, or had. ``report`` is the callback of each of its messages.

    count: how many of its records were handed over; None while that goes on. failed: positions
    that Kafka gave back. is_readable: False when its segment could not be read, so that none was
    handed over. is_settled: told to ``on_done``, once.
    """

    run: Run
    lane: Lane
    at: Monotonic
    on_done: Callable[[Sent], None]
    count: int | None = None
    reported: int = 0
    failed: list[tuple[int, KafkaError]] = field(default_factory=list)
    is_readable: bool = True
    is_settled: bool = False

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take one delivery report; called by ``poll`` on the thread that polls."""
        if error is not None:
            self.failed.append((self._position(message), error))
        self.reported += 1
        if self.reported == self.count:
            self.on_done(self)

    def refused(self, position: int, error: KafkaError) -> None:
        """Note a record that the producer did not take; it counts as handed over and reported."""
        self.failed.append((position, error))
        self.reported += 1

    def sealed(self, count: int) -> None:
        """Say how many records were handed over; their reports may all be in by then."""
        self.count = count
        if self.reported == count:
            self.on_done(self)

    def answered(self, failed: list[tuple[int, KafkaError]], *, is_readable: bool = True) -> None:
        """Take all reports at once."""
        self.failed, self.is_readable = failed, is_readable
        self.reported = len(self.run)
        self.sealed(len(self.run))

    def delivered(self) -> Run:
        """Return the records that Kafka has."""
        handed = self.run.positions[: self.count] if self.is_readable else ()
        if not self.failed:
            return self.run.only(handed)
        gone = {position for position, _ in self.failed}
        return self.run.only([position for position in handed if position not in gone])

    def failures(self) -> list[tuple[KafkaError, list[int]]]:
        """Return what Kafka gave back, in order, by error."""
        by_code: dict[int, tuple[KafkaError, list[int]]] = {}
        for position, error in sorted(self.failed, key=itemgetter(0)):
            by_code.setdefault(error.code(), (error, []))[1].append(position)
        return list(by_code.values())

    def _position(self, message: Message) -> int:
        # The report of a message that failed has its value, and our values begin alike.
        found = _SEQ.search(message.value() or b"")
        if found is None:
            raise AssertionError(f"a report on a message that is not ours: {message.value()!r}")
        return int(found[1]) - self.run.head.first_seq
