"""Handing runs of records to a producer, and what its reports said about them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message

from emdata.clock import Clock, Monotonic
from emdata.contracts.base import HASH_BYTES
from emdata.envelope import Regions
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager.buffer import Block, BufferLog, Run
from stream_manager.delivery.producers import Lane, RecordProducer, error_of, is_refused_for_good

log = get_logger(__name__)
_SEQ = re.compile(rb'"seq":(\d+)')


@dataclass(slots=True, eq=False)
class Sent:
    """A run that a producer has, or had. ``report`` is the callback of each of its messages.

    count: how many of its records were handed over; None while that goes on. failed: positions
    that Kafka gave back. is_settled: told to ``on_done``, once.
    """

    run: Run
    block: Block
    lane: Lane
    at: Monotonic
    on_done: Callable[[Sent], None]
    count: int | None = None
    reported: int = 0
    failed: list[tuple[int, KafkaError]] = field(default_factory=list)
    is_settled: bool = False

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take one delivery report; called by ``poll`` on the delivery thread."""
        if error is not None:
            self.failed.append((self._position(message), error))
        self.reported += 1
        if self.reported == self.count:
            self.on_done(self)

    def sealed(self, count: int) -> None:
        """Say how many records were handed over; their reports may all be in by then."""
        self.count = count
        if self.reported == count:
            self.on_done(self)

    def delivered(self) -> Run:
        """Return the records that Kafka has."""
        handed = self.run.positions[: self.count]
        if not self.failed:
            return self.run.only(handed)
        gone = {position for position, _ in self.failed}
        return self.run.only([position for position in handed if position not in gone])

    def _position(self, message: Message) -> int:
        # The report of a message that failed has its value, and our values begin alike.
        found = _SEQ.search(message.value() or b"")
        if found is None:
            raise AssertionError(f"a report on a message that is not ours: {message.value()!r}")
        return int(found[1]) - self.block.head.first_seq


class Sender:
    """Hands over runs; safe on two threads, of which one sends CRITICAL only.

    The records of a run that a producer's own queue has no room for are given back at once.
    """

    def __init__(
        self,
        buffer: BufferLog,
        clock: Clock,
        regions: Regions,
        *,
        on_sent: Callable[[Sent], None],
        on_unreadable: Callable[[Run], None],
        on_failed: Callable[[Run, str, KafkaError, Lane], None],
    ) -> None:
        self._buffer, self._clock, self._regions = buffer, clock, regions
        self._on_sent, self._on_unreadable, self._on_failed = on_sent, on_unreadable, on_failed
        self._guard = threading.Lock()
        self._done: list[Sent] = []
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Records handed to Kafka whose run is not reported on yet."""
        return self._in_flight

    def send(self, producer: RecordProducer, lane: Lane, run: Run) -> Run | None:
        """Hand over a run in order; returns the part that found no room."""
        try:
            block = self._buffer.load(run)
        except BufferUnavailable as error:
            log.warning("buffered_records_unreadable", segment=run.place.segment, error=str(error))
            self._on_unreadable(run)
            return None
        while len(run):
            handed, refusal = self._hand_over(producer, lane, run, block)
            rest = _behind(run, handed)
            if refusal is None:
                return rest if len(rest) else None
            # What is wrong with one record says nothing of the next; anything else stops them all.
            culprits = rest.split(1) if is_refused_for_good(refusal) else rest.split(len(rest))
            self._on_failed(culprits, run.topic, refusal, lane)
            run = rest
        return None

    def _hand_over(
        self, producer: RecordProducer, lane: Lane, run: Run, block: Block
    ) -> tuple[int, KafkaError | None]:
        sent = Sent(run, block, lane, self._clock.monotonic(), self._settled)
        with self._guard:
            self._in_flight += len(run)
        self._on_sent(sent)
        handed, refusal = self._produce(producer, sent)
        with self._guard:
            self._in_flight -= len(run) - handed
        sent.sealed(handed)
        return handed, refusal

    def take_done(self) -> list[Sent]:
        """Return the runs whose reports are all in."""
        with self._guard:
            done, self._done = self._done, []
            for sent in done:
                self._in_flight -= sent.count or 0
        return done

    def _produce(self, producer: RecordProducer, sent: Sent) -> tuple[int, KafkaError | None]:
        """Produce record by record; returns how many were taken, and why the next one was not."""
        run, block, report = sent.run, sent.block, sent.report
        columns, first_seq = block.columns, block.head.first_seq
        keys = columns.kafka_keys or columns.record_keys
        versions, regions, hashes = columns.versions, columns.regions, columns.content_hashes
        priority, topic, produce = run.priority, run.topic, producer.produce
        stencil, of_region = block.stencil(), self._regions.headers
        unknown = of_region(None)
        handed = 0
        try:
            for at in run.positions:
                seq = first_seq + at
                produce(
                    topic,
                    stencil.value(
                        seq,
                        columns.record_keys[at],
                        None if versions is None else versions[at],
                        hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES],
                        priority,
                        columns.payloads[at],
                    ),
                    keys[at],
                    stencil.headers(
                        seq, priority, unknown if regions is None else of_region(regions[at])
                    ),
                    report,
                )
                handed += 1
        except BufferError:
            return handed, None
        except KafkaException as exception:
            return handed, error_of(exception)
        return handed, None

    def _settled(self, sent: Sent) -> None:
        with self._guard:
            if not sent.is_settled:
                sent.is_settled = True
                self._done.append(sent)


def _behind(run: Run, count: int) -> Run:
    """Return the records of a run behind its first ``count``."""
    rest = run.only(run.positions[count:])
    rest.block, rest.size = run.block, run.size * len(rest) // max(len(run), 1)
    return rest
