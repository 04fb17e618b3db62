"""Handing runs of records to a producer, in this process or in one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from confluent_kafka import KafkaError

from emdata.clock import Clock
from emdata.envelope import Regions
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager.buffer import BufferLog, Run
from stream_manager.delivery.handing import hand_over
from stream_manager.delivery.producers import Lane, RecordProducer, is_refused_for_good
from stream_manager.delivery.sender_process import SenderProcess
from stream_manager.delivery.sent import Sent

log = get_logger(__name__)
LaneProducer = RecordProducer | SenderProcess
"""What opens for a lane: a producer of this process, or a process that sends whole runs."""


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
        self._in_flight = self._critical = 0

    @property
    def in_flight(self) -> int:
        """Records handed to Kafka whose run is not reported on yet."""
        return self._in_flight

    @property
    def is_critical_out(self) -> bool:
        """Whether runs of CRITICAL are not reported on yet."""
        return self._critical > 0

    def send(self, producer: LaneProducer, lane: Lane, run: Run) -> Run | None:
        """Hand over a run in order; returns the part that found no room."""
        while len(run):
            try:
                handed, refusal = self._hand_over(producer, lane, run)
            except BufferUnavailable as error:
                self._unreadable(run, error)
                return None
            rest = _behind(run, handed)
            if refusal is None:
                return rest if len(rest) else None
            # What is wrong with one record says nothing of the next; anything else stops them all.
            culprits = rest.split(1) if is_refused_for_good(refusal) else rest.split(len(rest))
            self._on_failed(culprits, run.topic, refusal, lane)
            run = rest
        return None

    def _hand_over(
        self, producer: LaneProducer, lane: Lane, run: Run
    ) -> tuple[int, KafkaError | None]:
        if isinstance(producer, SenderProcess):
            sent = self._begin(run, lane)
            run.block = None
            handed, refusal = producer.send(sent)
        else:
            block = self._buffer.load(run)
            sent = self._begin(run, lane)
            handed, refusal = hand_over(
                producer, block, run.positions, run.priority, self._regions, sent.report
            )
        with self._guard:
            self._in_flight -= len(run) - handed
        if handed == 0 or not isinstance(producer, SenderProcess):
            sent.sealed(handed)  # a process seals what it took by its answer
        return handed, refusal

    def _begin(self, run: Run, lane: Lane) -> Sent:
        sent = Sent(run, lane, self._clock.monotonic(), self._settled)
        with self._guard:
            self._in_flight += len(run)
            self._critical += lane is Lane.CRITICAL
        self._on_sent(sent)
        return sent

    def take_done(self) -> list[Sent]:
        """Return the runs whose reports are all in."""
        with self._guard:
            done, self._done = self._done, []
            for sent in done:
                self._in_flight -= sent.count or 0
                self._critical -= sent.lane is Lane.CRITICAL
        for sent in done:
            if not sent.is_readable:
                self._unreadable(sent.run, "by the sending process")
        return done

    def _unreadable(self, run: Run, why: object) -> None:
        log.warning("buffered_records_unreadable", segment=run.place.segment, error=str(why))
        self._on_unreadable(run)

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
