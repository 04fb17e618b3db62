"""Delivery: from the buffer to Kafka, released only on Kafka's delivery report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message

from emdata.clock import Clock
from emdata.contracts.base import Priority
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.buffer import BufferLog, Entry
from stream_manager.parked import Parked
from stream_manager.producers import (
    OF_THE_TOPIC,
    Lane,
    RecordProducer,
    error_of,
    is_fatal,
    is_refused_for_good,
)
from stream_manager.queues import PriorityQueues

log = get_logger(__name__)
MAX_IN_FLIGHT = 10_000
GROUP = 500
BACKOFF_FIRST, BACKOFF_MAX = 0.2, 5.0
STOP_SECONDS = 3.0
UNREADABLE = "(unreadable)"  # no topic has such a name


class Delivery:
    """One thread that moves entries; delivery reports are served on it as well.

    ``make_producer(lane)`` opens a producer, ``is_up`` says whether the broker can be reached,
    ``on_refused(entry, reason)`` gets what Kafka will never take.
    """

    def __init__(
        self,
        buffer: BufferLog,
        queues: PriorityQueues,
        clock: Clock,
        *,
        make_producer: Callable[[Lane], RecordProducer],
        is_up: Callable[[], bool],
        on_refused: Callable[[Entry, str], None],
    ) -> None:
        self._buffer, self._queues, self._clock = buffer, queues, clock
        self._make_producer, self._is_up, self._on_refused = make_producer, is_up, on_refused
        self._producers: dict[Lane, RecordProducer] = {}
        self._guard = threading.Lock()
        self._critical_order = threading.Lock()
        self._stop = threading.Event()
        self._in_flight = 0
        self._served = 0
        self._confirmed: list[tuple[Entry, str]] = []
        self._returned: list[tuple[Entry, str]] = []
        self._suspects: list[Entry] = []
        self._parked = Parked(clock)
        self._is_fenced = self._is_full = False
        self._backoff = BACKOFF_FIRST
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    @property
    def in_flight(self) -> int:
        """Records handed to Kafka and not yet reported on."""
        return self._in_flight

    @property
    def parked(self) -> int:
        """Records that wait for their topic, or for their segment to be readable."""
        return len(self._parked)

    @property
    def is_connected(self) -> bool:
        """Whether producers are open."""
        return bool(self._producers)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Wait a few seconds for reports; the rest stays in the buffer."""
        self._stop.set()
        self._queues.wake()
        self._thread.join(STOP_SECONDS + 1.0)

    def accept(self, entries: list[Entry]) -> None:
        """Take durable entries: CRITICAL goes to its own producer at once, the rest is queued.

        A CRITICAL record never overtakes older ones that still wait, so that versions of one key
        stay in order.
        """
        critical = [entry for entry in entries if entry.priority == Priority.CRITICAL]
        others = [entry for entry in entries if entry.priority != Priority.CRITICAL]
        with self._critical_order:
            if critical and not self._queues.is_waiting(Priority.CRITICAL):
                critical = self._send_all(Lane.CRITICAL, critical)
            self._queues.put(critical)
        self._queues.put(others)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._connect():
                self._move()
            else:
                self._stop.wait(self._backoff)
        deadline = self._clock.monotonic() + STOP_SECONDS
        for producer in self._open_producers():
            producer.flush(max(0.0, deadline - self._clock.monotonic()))
        self._settle_reports()

    def _connect(self) -> bool:
        if self._producers:
            return True
        if not self._is_up():
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
            return False
        producers = {lane: self._make_producer(lane) for lane in (Lane.BULK, Lane.CRITICAL)}
        with self._guard:
            self._producers = producers
        self._backoff = BACKOFF_FIRST
        log.info("kafka_connected")
        return True

    def _open_producers(self) -> list[RecordProducer]:
        with self._guard:
            return list(self._producers.values())

    def _move(self) -> None:
        room = MAX_IN_FLIGHT - self._in_flight
        may_send = room > 0 and not self._is_fenced
        if may_send:
            # Reports come by polling: often while they come, seldom while the broker is away.
            idle = 0.02 if self._in_flight else 0.05
            self._queues.wait(0.002 if self._served else idle)
            self._send_waiting(min(room, GROUP))
        pause = 0.0 if may_send and not self._is_full else 0.02
        self._served = sum(producer.poll(pause) for producer in self._open_producers())
        self._settle_reports()

    def _send_waiting(self, limit: int) -> None:
        with self._critical_order:
            entries = self._queues.take(limit)
            critical = [entry for entry in entries if entry.priority == Priority.CRITICAL]
            self._queues.put_back(self._send_all(Lane.CRITICAL, critical))
        others = [entry for entry in entries if entry.priority != Priority.CRITICAL]
        left = self._send_all(Lane.BULK, others)
        self._is_full = bool(left)
        self._queues.put_back(left)

    def _send_all(self, lane: Lane, entries: list[Entry]) -> list[Entry]:
        """Hand over entries in order; returns those that found no room."""
        with self._guard:
            producer = None if self._is_fenced else self._producers.get(lane)
        for index, entry in enumerate(entries):
            if producer is None or not self._send(producer, lane, entry):
                return entries[index:]
        return []

    def _send(self, producer: RecordProducer, lane: Lane, entry: Entry) -> bool:
        """Hand over one entry; False when the producer's queue is full."""
        try:
            record = self._buffer.read(entry)
        except BufferUnavailable as error:
            log.warning("buffered_record_unreadable", segment=entry.segment, error=str(error))
            self._give_back(entry, UNREADABLE)
            return True
        if self._parked.holds(record.topic):
            self._give_back(entry, record.topic)
            return True
        with self._guard:
            self._in_flight += 1
        try:
            producer.send(record, partial(self._report, entry, record.topic, lane))
        except (BufferError, KafkaException) as exception:
            with self._guard:
                self._in_flight -= 1
            if isinstance(exception, BufferError):
                return False
            self._failed(entry, record.topic, error_of(exception), is_alone=True)
        return True

    def _report(
        self, entry: Entry, topic: str, lane: Lane, error: KafkaError | None, _message: Message
    ) -> None:
        with self._guard:
            self._in_flight -= 1
            if error is None:
                self._confirmed.append((entry, topic))
        if error is not None:
            self._failed(entry, topic, error, is_alone=lane is Lane.ALONE)

    def _failed(self, entry: Entry, topic: str, error: KafkaError, *, is_alone: bool) -> None:
        metrics.DELIVERY_FAILURES.labels(error=error.name()).inc()
        if is_refused_for_good(error):
            if is_alone:
                self._on_refused(entry, f"{error.name()}: {error.str()}")
            else:
                # The broker refuses a whole batch for one bad message: each is tried alone.
                with self._guard:
                    self._suspects.append(entry)
            return
        if is_fatal(error):
            self._is_fenced = True
        self._give_back(entry, topic if error.code() in OF_THE_TOPIC else "")

    def _give_back(self, entry: Entry, reason: str) -> None:
        with self._guard:
            self._returned.append((entry, reason))

    def _settle_reports(self) -> None:
        """Release what Kafka confirmed and queue again what it gave back."""
        with self._guard:
            confirmed, self._confirmed = self._confirmed, []
            returned, self._returned = self._returned, []
            suspects, self._suspects = self._suspects, []
        if confirmed:
            self._buffer.delivered(entry for entry, _ in confirmed)
            metrics.DELIVERED.inc(len(confirmed))
            self._backoff = BACKOFF_FIRST
            for topic in {topic for _, topic in confirmed}:
                self._parked.freed(topic)
        self._try_alone(suspects)
        self._take_back(returned)
        if self._is_fenced and self._in_flight == 0:
            # A fenced producer never recovers; a new one gets a new epoch from the broker.
            with self._guard:
                self._producers = {}
                self._is_fenced = False

    def _try_alone(self, suspects: list[Entry]) -> None:
        if not suspects or self._is_fenced:
            self._queues.put_back(suspects)
            return
        if Lane.ALONE not in self._producers:
            alone = self._make_producer(Lane.ALONE)
            with self._guard:
                self._producers[Lane.ALONE] = alone
        self._queues.put_back(self._send_all(Lane.ALONE, _in_log_order(suspects)))

    def _take_back(self, returned: list[tuple[Entry, str]]) -> None:
        again = [entry for entry, reason in returned if not reason]
        for reason in {reason for _, reason in returned if reason}:
            parked = _in_log_order([entry for entry, why in returned if why == reason])
            self._parked.add(reason, parked)
            log.warning("records_parked", reason=reason, records=len(parked))
        self._queues.put_back(_in_log_order(self._parked.take_due() + again))
        if again:
            log.warning("records_queued_again", records=len(again), fenced=self._is_fenced)
            self._stop.wait(self._backoff)
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)


def _in_log_order(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.segment, entry.ordinal))
