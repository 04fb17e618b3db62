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
from stream_manager.producers import RecordProducer, error_of, is_refused_for_good
from stream_manager.queues import PriorityQueues

log = get_logger(__name__)
MAX_IN_FLIGHT = 10_000
BACKOFF_FIRST, BACKOFF_MAX = 0.2, 5.0


class Delivery:
    """One thread that moves entries; delivery reports are served on it as well.

    ``make_producer(critical)`` opens a producer, ``is_up`` says whether the broker can be reached,
    ``on_refused(entry, reason)`` gets what Kafka will never take.
    """

    def __init__(
        self,
        buffer: BufferLog,
        queues: PriorityQueues,
        clock: Clock,
        *,
        make_producer: Callable[[bool], RecordProducer],
        is_up: Callable[[], bool],
        on_refused: Callable[[Entry, str], None],
    ) -> None:
        self._buffer, self._queues, self._clock = buffer, queues, clock
        self._make_producer, self._is_up, self._on_refused = make_producer, is_up, on_refused
        self._producers: dict[bool, RecordProducer] = {}
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._in_flight = 0
        self._confirmed: list[Entry] = []
        self._returned: list[Entry] = []
        self._is_fenced = False
        self._backoff = BACKOFF_FIRST
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    @property
    def in_flight(self) -> int:
        """Records handed to Kafka and not yet reported on."""
        return self._in_flight

    @property
    def is_connected(self) -> bool:
        """Whether producers are open."""
        return bool(self._producers)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Wait at most ``timeout`` seconds for reports; the rest stays in the buffer."""
        self._stop.set()
        self._queues.wake()
        self._thread.join(timeout + 5.0)

    def accept(self, entries: list[Entry]) -> None:
        """Take durable entries: CRITICAL goes to its own producer at once, the rest is queued."""
        critical = [entry for entry in entries if entry.priority == Priority.CRITICAL]
        others = [entry for entry in entries if entry.priority != Priority.CRITICAL]
        with self._guard:
            producer = self._producers.get(True)
        for entry in critical:
            if producer is None or not self._send(producer, entry):
                others.append(entry)
        if others or critical:
            self._queues.put(others)
            self._queues.wake()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._connect():
                self._stop.wait(self._backoff)
                continue
            self._move()
        with self._guard:
            producers = list(self._producers.values())
        for producer in producers:
            producer.flush(5.0)
        self._settle_reports()

    def _connect(self) -> bool:
        if self._producers:
            return True
        if not self._is_up():
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
            return False
        producers = {critical: self._make_producer(critical) for critical in (False, True)}
        with self._guard:
            self._producers = producers
        self._backoff = BACKOFF_FIRST
        log.info("kafka_connected")
        return True

    def _move(self) -> None:
        waiting = 0.002 if self._in_flight else 0.05
        room = MAX_IN_FLIGHT - self._in_flight
        entries = self._queues.take(min(room, 500), waiting) if room > 0 else []
        for index, entry in enumerate(entries):
            if not self._send(self._producers[False], entry):
                self._queues.put_back(entries[index:])
                self._producers[False].poll(0.05)
                break
        for producer in self._producers.values():
            producer.poll(0.005 if room <= 0 else 0)
        self._settle_reports()

    def _send(self, producer: RecordProducer, entry: Entry) -> bool:
        try:
            record = self._buffer.read(entry)
        except BufferUnavailable as error:
            # Its bytes cannot be read now; the ledger keeps the record open and names it.
            log.warning("buffered_record_unreadable", segment=entry.segment, error=str(error))
            return True
        try:
            producer.send(record, partial(self._report, entry))
        except BufferError:
            return False
        except KafkaException as exception:
            self._failed(entry, error_of(exception))
            return True
        with self._guard:
            self._in_flight += 1
        return True

    def _report(self, entry: Entry, error: KafkaError | None, _message: Message) -> None:
        with self._guard:
            self._in_flight -= 1
        if error is None:
            self._confirmed.append(entry)
        else:
            self._failed(entry, error)

    def _failed(self, entry: Entry, error: KafkaError) -> None:
        metrics.DELIVERY_FAILURES.labels(error=error.name()).inc()
        if is_refused_for_good(error):
            self._on_refused(entry, f"{error.name()}: {error.str()}")
            return
        if error.fatal():
            self._is_fenced = True
        self._returned.append(entry)

    def _settle_reports(self) -> None:
        """Release what Kafka confirmed and queue again what it gave back."""
        confirmed, self._confirmed = self._confirmed, []
        if confirmed:
            self._buffer.delivered(confirmed)
            metrics.DELIVERED.inc(len(confirmed))
            self._backoff = BACKOFF_FIRST
        returned, self._returned = self._returned, []
        if returned:
            returned.sort(key=lambda entry: (entry.segment, entry.ordinal))
            self._queues.put_back(returned)
            log.warning("records_queued_again", records=len(returned), fenced=self._is_fenced)
            self._stop.wait(self._backoff)
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
        if self._is_fenced and self._in_flight == 0:
            # A fenced producer never recovers; a new one gets a new epoch from the broker.
            with self._guard:
                self._producers = {}
            self._is_fenced = False
