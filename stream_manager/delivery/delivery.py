"""Delivery: from the buffer to Kafka, released only on Kafka's delivery report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError

from emdata.clock import Clock
from emdata.contracts.base import Priority
from emdata.envelope import Regions
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.buffer import BufferLog, Run, in_log_order
from stream_manager.control.breaker import DestinationBreaker
from stream_manager.control.critical import NearestKm
from stream_manager.delivery.critical_order import in_order_of_need
from stream_manager.delivery.parked import Parked
from stream_manager.delivery.producers import (
    OF_THE_TOPIC,
    KafkaProducer,
    Lane,
    is_fatal,
    is_refused_for_good,
    is_unreachable,
)
from stream_manager.delivery.queues import PriorityQueues
from stream_manager.delivery.sender_process import SenderProcess
from stream_manager.delivery.sending import LaneProducer, Sender
from stream_manager.delivery.sent import Sent

log = get_logger(__name__)
MAX_IN_FLIGHT = 8_000
GROUP = 5_000
BACKOFF_FIRST, BACKOFF_MAX = 0.2, 2.0
STOP_SECONDS = 3.0
ANSWER_SECONDS, AHEAD_SECONDS = 0.2, 5.0
UNREADABLE = "(unreadable)"  # no topic has such a name


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """regions gives the region headers; nearest_km orders a backlog of CRITICAL by nearness to
    population; breaker keeps records in the queues while Kafka does not answer."""

    regions: Regions
    nearest_km: NearestKm | None
    breaker: DestinationBreaker


class Delivery:
    """One thread that moves runs; delivery reports are served on it as well.

    ``make_producer(lane)`` opens a producer or raises OSError, ``is_up`` says whether the broker
    can be reached, ``on_refused(run, reason)`` gets each record that Kafka will never take, as a
    run of its own.
    """

    def __init__(
        self,
        buffer: BufferLog,
        queues: PriorityQueues,
        clock: Clock,
        *,
        make_producer: Callable[[Lane], LaneProducer],
        is_up: Callable[[], bool],
        on_refused: Callable[[Run, str], None],
        rules: DeliveryRules,
    ) -> None:
        self._buffer, self._queues, self._clock = buffer, queues, clock
        self._make_producer, self._is_up, self._on_refused = make_producer, is_up, on_refused
        self._nearest_km, self.breaker = rules.nearest_km, rules.breaker
        self._producers: dict[Lane, LaneProducer] = {}
        self._guard = threading.Lock()
        self._critical_order = threading.Lock()
        self._stop = threading.Event()
        self._returned: list[tuple[Run, str]] = []
        self._suspects: list[Run] = []
        self._parked = Parked(clock)
        self._sender = Sender(
            buffer,
            clock,
            rules.regions,
            on_sent=lambda sent: self.breaker.sent(sent, clock.monotonic()),
            on_unreadable=lambda run: self._give_back(run, UNREADABLE),
            on_failed=self._failed,
        )
        self._is_fenced = self._is_full = self._is_new = False
        self._backoff = BACKOFF_FIRST
        self._hold_until = 0.0
        self._answered_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    @property
    def in_flight(self) -> int:
        """Records handed to Kafka and not yet reported on."""
        return self._sender.in_flight

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

    def accept(self, runs: list[Run]) -> None:
        """Take durable runs: CRITICAL goes to its own producer at once, the rest is queued.

        A CRITICAL record never overtakes older ones that still wait, so that versions of one key
        stay in order.
        """
        critical = [run for run in runs if run.priority == Priority.CRITICAL]
        if critical:
            with self._critical_order:
                if not self._queues.is_waiting(Priority.CRITICAL):
                    critical = self._send_all(Lane.CRITICAL, critical)
                self._queues.put(critical)
        self._queues.put(run for run in runs if run.priority != Priority.CRITICAL)

    def step(self) -> None:
        """Do what the thread does in one turn: connect, or hand over and take reports.

        Waits a moment when there is nothing to do. Also for a simulation without a thread.
        """
        if self._connect():
            self._move()
        else:
            self._stop.wait(self._backoff)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step()
        deadline = self._clock.monotonic() + STOP_SECONDS
        for producer in self._open_producers():
            producer.flush(max(0.0, deadline - self._clock.monotonic()))
        self._settle_reports()
        self._close_producers()

    def _connect(self) -> bool:
        if self._producers:
            return True
        # Asked even while the breaker is open: it costs one connection, and ends the wait at once.
        if not self._is_up():
            self.breaker.brokers_down(self._clock.monotonic())
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
            return False
        try:
            producers = {lane: self._make_producer(lane) for lane in (Lane.CRITICAL, Lane.BULK)}
        except OSError:
            log.exception("producer_not_opened")
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
            return False
        self.breaker.breaker.hurry()
        with self._guard:
            self._producers = producers
        self._is_new, self._answered_at = True, None
        self._backoff = BACKOFF_FIRST
        log.info("kafka_connected")
        return True

    def _open_producers(self) -> list[LaneProducer]:
        with self._guard:
            return list(self._producers.values())

    def _close_producers(self) -> None:
        with self._guard:
            producers, self._producers = self._producers, {}
        for producer in producers.values():
            if isinstance(producer, SenderProcess):
                producer.close()

    def _move(self) -> None:
        now = self._clock.monotonic()
        room = MAX_IN_FLIGHT - self._sender.in_flight
        may_send = room > 0 and not self._is_fenced and now >= self._hold_until
        # While the breaker is open only CRITICAL moves, to a producer that sends it at once.
        least = Priority.LOW if self.breaker.may_send(Priority.LOW, now) else Priority.CRITICAL
        self._is_new = self._is_new and not self._is_critical_through(now)
        may_send = may_send and not self._is_new
        if may_send:
            # Reports come by polling, and nothing waits for them but room and disk.
            self._queues.wait(0.005 if self._sender.in_flight else 0.05, least)
            self._send_waiting(min(room, GROUP), least)
        pause = 0.0 if may_send and not self._is_full else 0.02
        for producer in self._open_producers():
            producer.poll(pause)
        self._settle_reports()
        self.breaker.tick(self._clock.monotonic())

    def _is_critical_through(self, now: float) -> bool:
        """Whether new producers may send what waits: CRITICAL's is connected, and has nothing out.

        Else the backlog of an outage would be with Kafka before an urgent record has a connection.
        """
        producer = self._producers[Lane.CRITICAL]
        if isinstance(producer, KafkaProducer) and not producer.answers(ANSWER_SECONDS):
            self._answered_at = None
            return False
        self._answered_at = now if self._answered_at is None else self._answered_at
        return not self._sender.is_critical_out or now - self._answered_at > AHEAD_SECONDS

    def _send_waiting(self, limit: int, least: Priority) -> None:
        with self._critical_order:
            runs = self._queues.take(limit, least)
            critical = [run for run in runs if run.priority == Priority.CRITICAL]
            if critical:
                ordered = in_order_of_need(critical, self._buffer, self._nearest_km)
                self._queues.put_back(self._send_all(Lane.CRITICAL, ordered))
        others = [run for run in runs if run.priority != Priority.CRITICAL]
        left = self._send_all(Lane.BULK, others)
        self._is_full = bool(left)
        self._queues.put_back(left)

    def _send_all(self, lane: Lane, runs: Sequence[Run]) -> list[Run]:
        """Hand over runs in order; returns those that found no room."""
        with self._guard:
            producer = None if self._is_fenced else self._producers.get(lane)
        for index, run in enumerate(runs):
            if self._parked.holds(run.topic):
                self._give_back(run, run.topic)
                continue
            rest = run if producer is None else self._sender.send(producer, lane, run)
            if rest is not None:
                return [rest, *runs[index + 1 :]]
        return []

    def _failed(self, run: Run, topic: str, error: KafkaError, lane: Lane) -> None:
        """Decide what becomes of records that Kafka gave back with one error."""
        metrics.DELIVERY_FAILURES.labels(error=error.name()).inc(len(run))
        if is_refused_for_good(error):
            if lane is Lane.ALONE:
                for position in run.positions:
                    self._on_refused(run.only([position]), f"{error.name()}: {error.str()}")
            else:
                # The broker refuses a whole batch for one bad message: each is tried alone.
                with self._guard:
                    self._suspects.append(run)
            return
        if is_fatal(error):
            self._is_fenced = True
        self._give_back(run, topic if error.code() in OF_THE_TOPIC else "")

    def _give_back(self, run: Run, reason: str) -> None:
        with self._guard:
            self._returned.append((run, reason))

    def _settle_reports(self) -> None:
        """Release what Kafka confirmed and queue again what it gave back."""
        done = self._sender.take_done()
        if done:
            self._release(done)
        with self._guard:
            returned, self._returned = self._returned, []
            suspects, self._suspects = self._suspects, []
        self._try_alone(suspects)
        self._take_back(returned)
        if self._is_fenced and self._sender.in_flight == 0:
            # A fenced producer never recovers; a new one gets a new epoch from the broker.
            self._close_producers()
            with self._guard:
                self._is_fenced = False
            self.breaker.reset()

    def _release(self, done: list[Sent]) -> None:
        now = self._clock.monotonic()
        delivered = []
        for sent in done:
            run = sent.delivered()
            if len(run):
                delivered.append(run)
                self._parked.freed(run.topic)
                self._count(run, now)
            for error, positions in sent.failures():
                self._failed(sent.run.only(positions), run.topic, error, sent.lane)
            if not sent.count or not sent.is_readable:
                self.breaker.withdrawn(sent)
            else:
                gone = sent.failed and all(is_unreachable(error) for _, error in sent.failed)
                self.breaker.reported(sent, now, is_answered=bool(len(run)) or not gone)
        if delivered:
            self._buffer.delivered(delivered)
            self._backoff = BACKOFF_FIRST

    def _count(self, run: Run, now: float) -> None:
        metrics.DELIVERED.inc(len(run))
        metrics.LATENCY.labels(priority=Priority(run.priority).name).observe(now - run.at)

    def _try_alone(self, suspects: list[Run]) -> None:
        if not suspects:
            return
        if self._is_fenced:
            self._queues.put_back(in_log_order(suspects))
            return
        if Lane.ALONE not in self._producers:
            alone = self._make_producer(Lane.ALONE)
            with self._guard:
                self._producers[Lane.ALONE] = alone
        self._queues.put_back(self._send_all(Lane.ALONE, in_log_order(suspects)))

    def _take_back(self, returned: list[tuple[Run, str]]) -> None:
        again = [run for run, reason in returned if not reason]
        for reason in {reason for _, reason in returned if reason}:
            parked = in_log_order([run for run, why in returned if why == reason])
            self._parked.add(reason, parked)
            log.warning("records_parked", reason=reason, records=sum(map(len, parked)))
        self._queues.put_back(in_log_order(self._parked.take_due() + again))
        if again:
            log.warning(
                "records_queued_again", records=sum(map(len, again)), fenced=self._is_fenced
            )
            # Reports, and CRITICAL that is still to come, must not wait along with them.
            self._hold_until = self._clock.monotonic() + self._backoff
            self._backoff = min(self._backoff * 2, BACKOFF_MAX)
