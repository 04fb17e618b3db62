"""Kafka's breaker in the delivery: what is kept back, what goes on, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from emdata.contracts.base import Priority
from stream_manager.control.breaker import Breaker, State
from stream_manager.delivery import delivery as delivery_module
from stream_manager.delivery.producers import Lane
from tests.stream_manager.test_delivery import FakeProducer, Harness, Message
from tests.support.waiting import wait_for


class Refusing(Harness):
    """A Kafka that refuses us until it is mended; short waits."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.error: KafkaError | None = None
        self.answer = self._say
        self.breaker = self.delivery.breaker
        self.breaker.breaker = Breaker(open_s=30.0, waits=(0.0, 0.02, 0.02))
        self.tries: list[tuple[Lane, int]] = []

    def _say(self, lane: Lane, record: Message) -> KafkaError | None:
        self.tries.append((lane, record.seq))
        return self.error

    def bulk(self) -> int:
        """How often a record that is not CRITICAL was handed to Kafka."""
        return sum(lane is Lane.BULK for lane, _ in self.tries)


@pytest.fixture
def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    monkeypatch.setattr(delivery_module, "BACKOFF_FIRST", 0.005)
    monkeypatch.setattr(delivery_module, "BACKOFF_MAX", 0.01)
    made = Refusing(tmp_path)
    yield made
    made.delivery.stop()
    made.log.close()


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._ALL_BROKERS_DOWN,
    ],
)
def test_fault_18_a_kafka_that_will_not_have_us_is_left_alone_and_nothing_is_lost(
    kafka: Refusing, code: int
) -> None:
    kafka.error = KafkaError(code)
    kafka.offer(1, 2, 3)
    kafka.delivery.start()
    wait_for(lambda: kafka.breaker.state is State.OPEN, 10, "the breaker to open")
    assert kafka.bulk() <= 3 * 3, "three attempts"
    tries = kafka.bulk()
    kafka.offer(4)
    kafka.offer(5, priority=Priority.CRITICAL)
    wait_for(lambda: any(seq == 5 for _, seq in kafka.tries), 10, "CRITICAL to be tried")
    assert kafka.bulk() == tries, "the rest waits"
    assert kafka.undelivered() == 5
    kafka.error = None  # mended: the next CRITICAL try is answered, and that ends the pause
    kafka.wait_delivered()
    assert kafka.breaker.state is State.CLOSED


def test_a_refusal_of_one_topic_is_an_answer_and_keeps_nobody_else_back(kafka: Refusing) -> None:
    kafka.error = None
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    kafka.answer = lambda _lane, one: refused if one.topic == "theirs" else None
    kafka.offer(1, 2, topic="theirs")
    kafka.delivery.start()
    for number in range(3, 9):
        kafka.offer(number, topic="ours")
        kafka.wait_delivered(left=2)
    assert kafka.breaker.state is State.CLOSED


def test_a_kafka_that_takes_and_never_reports_is_noticed_and_its_answer_ends_it(
    tmp_path: Path,
) -> None:
    class Silent(FakeProducer):
        def poll(self, timeout: float) -> int:
            return super().poll(timeout) if harness.is_answering else 0

    harness = Harness(tmp_path)
    harness.is_answering = False  # type: ignore[attr-defined]
    harness._make = lambda lane: Silent(lane, harness.answer, harness.sent)  # type: ignore[method-assign]
    harness.delivery._make_producer = harness._make
    waits = Breaker(open_s=30.0, waits=(0.0, 0.02, 0.02))
    breaker = harness.delivery.breaker
    breaker.breaker, breaker._report_s = waits, 0.05
    harness.delivery.start()
    try:
        for number in range(1, 5):
            harness.offer(number)
            sent = number
            wait_for(
                lambda wanted=sent: len(harness.sent) >= wanted or breaker.state is State.OPEN,
                10,
                "the batch to be handed over, or the breaker to open",
            )
            wait_for(
                lambda wanted=sent: breaker.breaker.failures >= min(wanted, 3), 10, "its failure"
            )
        assert breaker.state is State.OPEN
        assert (len(harness.sent), harness.undelivered()) == (3, 4)
        harness.is_answering = True  # type: ignore[attr-defined]
        harness.wait_delivered()
        assert breaker.state is State.CLOSED
        assert sorted(harness.sent) == [(Lane.BULK, n) for n in (1, 2, 3, 4)], "none sent twice"
    finally:
        harness.delivery.stop()
        harness.log.close()
