"""How far the landing jobs are behind, in seconds.

A thread asks Kafka, off every hot path: the groups' committed offsets, the ends of their topics and
the time stamp of the oldest message that nobody has committed. The stamp is held between two bounds
of the monotonic clock (when this process first saw something uncommitted there, and when it last
saw that it was not there yet), so that a jump of the wall clock does not look like a lag.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from emdata.clock import Clock, Monotonic
from emdata.errors import TransientError
from emdata.telemetry import get_logger
from emdata.transport.kafka import KafkaAddress, client_options
from stream_manager.control.committed import Place, committed_offsets

log = get_logger(__name__)
TIMEOUT_S = 5.0
STOP_S = 1.0
KEPT = 600
"""Samples a partition: more than an hour and a half at one every ten seconds."""


class LagUnknown(TransientError):
    """Kafka did not say how far a group is."""

    code = "lag_unknown"


@dataclass(frozen=True, slots=True)
class Position:
    """Of one group in one partition: next offset to be read, next to be written, and the age in
    seconds of the oldest message in between by the wall clock, None when not known."""

    committed: int
    end: int
    age_s: float | None


class PositionReader(Protocol):
    """What the meter asks of Kafka."""

    def positions(self, group: str, topic: str) -> dict[Place, Position]:
        """Return the position in every partition of a topic; raises LagUnknown."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Ends:
    """When a partition's end was seen to grow; pure."""

    def __init__(self) -> None:
        self._seen: deque[tuple[Monotonic, int]] = deque(maxlen=KEPT)

    def seconds_behind(self, position: Position, now: Monotonic) -> float:
        """Return how long the oldest uncommitted message has been there, 0 when there is none."""
        if self._seen and position.end < self._seen[-1][1]:
            self._seen.clear()  # the topic was made anew
        self._seen.append((now, position.end))
        if position.end <= position.committed:
            return 0.0
        first_with = next(at for at, end in self._seen if end > position.committed)
        without = [at for at, end in self._seen if end <= position.committed]
        at_least = now - first_with
        at_most = now - without[-1] if without else float("inf")
        age = at_least if position.age_s is None else position.age_s
        return min(max(age, at_least), at_most)


class LagMeter:
    """Thread ``lag-meter``. groups: topic by consumer group.

    on_lag is called on the thread with seconds by group, without the groups that are unknown.
    """

    def __init__(
        self,
        reader: PositionReader,
        groups: Mapping[str, str],
        clock: Clock,
        *,
        interval_s: float = 10.0,
        on_lag: Callable[[dict[str, float]], None] = lambda _lags: None,
    ) -> None:
        self._reader, self._groups, self._clock = reader, dict(groups), clock
        self._interval_s, self._on_lag = interval_s, on_lag
        self._ends: dict[tuple[str, Place], Ends] = {}
        self._measured_at: Monotonic | None = None
        self._lags: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag-meter", daemon=True)

    def start(self) -> None:
        """Start measuring."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; waits a second at most for a question that is under way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def seconds(self) -> dict[str, float]:
        """Return the last measurement by group."""
        return dict(self._lags)

    def worst(self) -> float | None:
        """Return the largest lag in seconds; None when there is no measurement of late."""
        at = self._measured_at
        if at is None or self._clock.monotonic() - at > 3 * self._interval_s + TIMEOUT_S:
            return None
        return max(self._lags.values(), default=None)

    def measure(self) -> dict[str, float]:
        """Ask once for all groups and return their seconds."""
        found: dict[str, float] = {}
        for group, topic in self._groups.items():
            if self._stop.is_set():
                return found
            try:
                positions = self._reader.positions(group, topic)
            except LagUnknown as error:
                log.info("lag_unknown", group=group, error=str(error)[:200])
                continue
            now = self._clock.monotonic()
            found[group] = max(
                (self._of((group, place), one, now) for place, one in positions.items()),
                default=0.0,
            )
        return found

    def _of(self, place: tuple[str, Place], position: Position, now: Monotonic) -> float:
        return self._ends.setdefault(place, Ends()).seconds_behind(position, now)

    def _run(self) -> None:
        while not self._stop.is_set():
            lags = self.measure()
            if lags:
                self._lags, self._measured_at = lags, self._clock.monotonic()
                self._on_lag(lags)
            self._stop.wait(self._interval_s)
        self._reader.close()


class KafkaPositions:
    """Reads positions without joining a group. Belongs to one thread; opens nothing before it asks.

    A group that has committed nothing stands at the beginning of its topic.
    """

    def __init__(self, kafka: KafkaAddress, clock: Clock) -> None:
        self._kafka, self._clock = kafka, clock
        self._consumer: Consumer | None = None

    def positions(self, group: str, topic: str) -> dict[Place, Position]:
        """Return the position in every partition of a topic; raises LagUnknown."""
        consumer = self._opened()
        try:
            known = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if not known.partitions:
                return {}
            places = [(topic, number) for number in known.partitions]
            committed = committed_offsets(self._kafka, group, places, TIMEOUT_S)
            return {
                place: self._position(consumer, place, committed.get(place, 0)) for place in places
            }
        except KafkaException as error:
            raise LagUnknown(f"{group} in {topic}: {error}") from error

    def close(self) -> None:
        """Close all connections."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None

    def _position(self, consumer: Consumer, place: Place, committed: int) -> Position:
        begin, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT_S)
        at = max(begin, committed)
        age = self._age(consumer, place, at) if at < end else None
        return Position(at, end, age)

    def _age(self, consumer: Consumer, place: Place, offset: int) -> float | None:
        consumer.assign([TopicPartition(*place, offset)])
        try:
            message = consumer.poll(TIMEOUT_S)
        finally:
            consumer.unassign()
        if message is None or message.error() is not None:
            return None
        kind, stamp = message.timestamp()
        return None if kind == 0 else self._clock.now().timestamp() - stamp / 1000.0

    def _opened(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **client_options(self._kafka),
                    "group.id": "emdata-lag-meter",
                    "enable.auto.commit": False,
                    "allow.auto.create.topics": False,
                    "auto.offset.reset": "earliest",
                    "fetch.message.max.bytes": 64 * 1024,
                    "queued.max.messages.kbytes": 1024,
                    "socket.timeout.ms": int(TIMEOUT_S * 1000),
                    "reconnect.backoff.max.ms": 5000,
                    "log_level": 0,
                }
            )
        return self._consumer
