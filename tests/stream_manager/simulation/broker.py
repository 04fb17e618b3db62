"""A Kafka behind the ``RecordProducer`` protocol that moves only when the schedule says so.

A message is handed over, stored, and reported, each at its own time; between two of these the
network may be cut, the broker may hang, the producer may be fenced, the process may die. Like an
idempotent producer this one is stored once and in order, however often the network is cut.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from emdata.envelope import Headers
from stream_manager.delivery.producers import Lane

ROOM = 60  # messages in a producer's own queue
POISON = "poison"


class Broken(AssertionError):
    """What must hold does not."""


@dataclass(slots=True)
class Message:
    """One message on its way; ``error`` is what will be reported."""

    topic: str
    key: str
    data: dict[str, Any]
    raw: bytes
    report: Callable[[Any, Any], None]
    is_stored: bool = False
    is_ready: bool = False
    error: KafkaError | None = None

    @property
    def seq(self) -> int:
        return int(self.data["seq"])

    def value(self) -> bytes:
        return self.raw


@dataclass
class Broker:
    """What Kafka holds, and the producers of the one process that lives now.

    released: numbers whose confirmation was written by a process that was not cut from power since;
    none of these may ever be sent again. meanwhile: what another thread does while one is polling.
    """

    dice: random.Random
    topics: set[str]
    is_listening: bool = True
    is_storing: bool = True
    stored: list[Message] = field(default_factory=list)
    producers: list[FakeProducer] = field(default_factory=list)
    handed: list[tuple[Lane, int]] = field(default_factory=list)
    out: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    resent: Counter[int] = field(default_factory=Counter)
    meanwhile: Callable[[], None] = lambda: None

    def open(self, lane: Lane) -> FakeProducer:
        producer = FakeProducer(self, lane)
        self.producers.append(producer)
        return producer

    def process_died(self) -> None:
        """What was on the wire may still be stored; nothing of it is reported."""
        for producer in self.producers:
            if self.dice.random() < 0.5:
                producer.store(self.dice.randint(0, ROOM))
        self.producers, self.out = [], set()

    def pump(self, most: int) -> None:
        """Store and answer some of what is handed over."""
        for producer in self.producers:
            producer.store(most)
            producer.answer(self.dice.randint(0, most))

    def catch_up(self) -> None:
        """Store and answer all of it."""
        for producer in self.producers:
            producer.store(ROOM)
            producer.answer(ROOM)

    def delete(self, topic: str) -> None:
        self.topics.discard(topic)
        for producer in self.producers:
            for one in producer.waiting:
                if one.topic == topic and not one.is_ready:
                    one.error, one.is_ready = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), True

    def has_failed(self, topic: str) -> bool:
        """Whether errors of a topic are not served yet; clients learn of a new one only later."""
        return any(
            one.topic == topic and one.error is not None
            for producer in self.producers
            for one in producer.waiting
        )


class FakeProducer:
    """Takes messages in order; ``poll`` reports what was answered."""

    def __init__(self, broker: Broker, lane: Lane) -> None:
        self.broker, self.lane = broker, lane
        self.waiting: list[Message] = []
        self.is_fenced = False
        self.times_out = False

    def produce(self, topic: str, value: bytes, key: str, headers: Headers, report: Any) -> None:
        broker = self.broker
        if self.is_fenced:
            raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", True))
        if topic not in broker.topics:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))
        if len(self.waiting) >= ROOM:
            raise BufferError
        made = Message(topic, key, json.loads(value), value, report)
        if made.seq in broker.out:
            raise Broken(f"number {made.seq} is sent again while its first try is in flight")
        if made.seq in broker.released:
            raise Broken(f"number {made.seq} is sent again although its confirmation was written")
        broker.out.add(made.seq)
        broker.handed.append((self.lane, made.seq))
        self.waiting.append(made)

    def store(self, most: int) -> None:
        """Append to the topics, as far as the broker does anything now."""
        if not self.broker.is_storing or self.is_fenced or self.times_out:
            return
        for one in [m for m in self.waiting if not m.is_stored and m.error is None][:most]:
            if one.key == POISON:
                one.error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            elif one.topic in self.broker.topics:
                one.is_stored = True
                self.broker.stored.append(one)

    def answer(self, most: int) -> None:
        """Let reports arrive of what was stored or refused, in order."""
        for one in self.waiting[:most]:
            if not (one.is_stored or one.error):
                return
            one.is_ready = True

    def give_up(self, error: KafkaError) -> None:
        """Report an error on everything, stored or not: nobody knows which is which."""
        for one in self.waiting:
            if not one.is_ready:
                one.error, one.is_ready = error, True

    def poll(self, timeout: float) -> int:
        self.broker.meanwhile()
        if self.times_out:
            self.give_up(KafkaError(KafkaError._MSG_TIMED_OUT))
            self.times_out = False
        ready = [one for one in self.waiting if one.is_ready]
        self.waiting = [one for one in self.waiting if not one.is_ready]
        for one in ready:
            self.broker.out.discard(one.seq)
            if one.error is not None:
                self.broker.resent[one.seq] += 1
            one.report(one.error, one)
        self.broker.meanwhile()
        return len(ready)

    def flush(self, timeout: float) -> int:
        return self.poll(timeout)
