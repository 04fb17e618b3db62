"""A Kafka that takes rights and passwords away: records wait, and go once they are back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from tests.stream_manager.door import Door, assert_exact, undelivered
from tests.support.platform import Platform, running_platform
from tests.support.secured_kafka import ADMIN, ADMIN_PASSWORD, SecuredKafka, secured_kafka
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
USER, PASSWORD = "manager", "manager-of-a-test"
DENIED = "TOPIC_AUTHORIZATION_FAILED"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        yield running


@pytest.fixture(scope="module")
def kafka(platform: Platform) -> Iterator[SecuredKafka]:
    with secured_kafka(platform) as running:
        running.set_password(USER, PASSWORD)
        yield running


@pytest.fixture
def topics(kafka: SecuredKafka) -> tuple[str, str]:
    """Two topics that the manager may write to."""
    made = f"first-{uuid.uuid4().hex[:8]}", f"second-{uuid.uuid4().hex[:8]}"
    for topic in made:
        kafka.make_topic(topic)
        kafka.allow(USER, topic, AclOperation.WRITE)
    return made


@pytest.fixture
def way(
    kafka: SecuredKafka, topics: tuple[str, str], engine: Engine, tmp_path: Path
) -> Iterator[Door]:
    extra = kafka.client(USER, PASSWORD)
    made = Door(tmp_path, engine, kafka.servers, topics[0], extra=extra)
    yield made
    made.close()


def read(kafka: SecuredKafka, topic: str) -> list[dict[str, Any]]:
    """The values of a topic, read by the administrator."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.servers,
            "group.id": uuid.uuid4().hex,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": ADMIN,
            "sasl.password": ADMIN_PASSWORD,
        }
    )
    values = []
    try:
        place = TopicPartition(topic, 0)
        begin, end = consumer.get_watermark_offsets(place, timeout=30)
        consumer.assign([TopicPartition(topic, 0, begin)])
        while begin < end:
            message = consumer.poll(30)
            assert message is not None, f"{topic}: nothing at {begin} of {end}"
            assert message.error() is None, message.error()
            values.append(json.loads(message.value() or b""))
            begin = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return values


def assert_seqs(values: list[dict[str, Any]], seqs: list[int]) -> None:
    """Every number once, and those of a Kafka key in order."""
    assert sorted(value["seq"] for value in values) == seqs
    for key in range(10):
        found = [value["seq"] for value in values if value["n"] % 10 == key]
        assert found == sorted(found), f"key {key} out of order"


def failures(name: str) -> float:
    """How many records Kafka gave back with this error so far."""
    labels = {"error": name}
    return REGISTRY.get_sample_value("stream_delivery_failures_total", labels) or 0.0


@pytest.mark.parametrize("priority", [0, 3])
def test_fault_18_a_topic_that_may_not_be_written_waits_alone_until_it_may(
    kafka: SecuredKafka, topics: tuple[str, str], way: Door, priority: int
) -> None:
    first, second = topics
    way.offer(range(50), priority=priority)
    way.offer(range(50, 100), priority=priority, topic=second)
    way.wait_delivered()
    kafka.take_away(USER, first, AclOperation.WRITE)
    before = failures(DENIED)
    way.offer(range(100, 150), priority=priority)
    assert way.acknowledged() == 150, "what Kafka refuses is acknowledged all the same"
    wait_for(lambda: failures(DENIED) > before, 60, "the refusal")
    way.offer(range(150, 200), priority=priority, topic=second)
    way.acknowledged()
    wait_for(lambda: len(read(kafka, second)) == 100, 60, "the other topic to go on")
    wait_for(lambda: way.intake.delivery.parked == 50, 30, "the records to wait for their topic")
    # Tried again, a second later, then two, then four: not in a busy loop.
    tried = failures(DENIED)
    wait_for(lambda: failures(DENIED) > tried, 30, "another attempt")
    assert failures(DENIED) - before <= 50 * 6
    assert undelivered(way.intake) == 50
    kafka.allow(USER, first, AclOperation.WRITE)
    way.wait_delivered(90)
    assert_seqs(read(kafka, first), [*range(1, 51), *range(101, 151)])
    assert_seqs(read(kafka, second), [*range(51, 101), *range(151, 201)])
    assert way.intake.applier.depth() == 0, "nothing became a dead letter"


def test_fault_18_a_password_that_is_over_leaves_records_in_the_buffer_until_it_holds_again(
    kafka: SecuredKafka, topics: tuple[str, str], way: Door
) -> None:
    way.offer(range(50))
    way.wait_delivered()
    kafka.set_password(USER, "another")
    try:
        # The session ends within two seconds, and the next one is refused.
        wait_for(lambda: _is_shut_out(way), 60, "the broker to shut the manager out")
        count = sum(len(future.result(30)) for future in way.offered)
        way.offer(range(count, count + 50), priority=0)
        way.offer(range(count + 50, count + 100))
        assert way.acknowledged() == count + 100
        assert undelivered(way.intake) >= 100
    finally:
        kafka.set_password(USER, PASSWORD)
    way.wait_delivered(120)
    assert_exact(read(kafka, topics[0]), count + 100)


def _is_shut_out(way: Door) -> bool:
    """Offer one more record; whether it stays."""
    number = sum(len(future.result(30)) for future in way.offered)
    way.offer(range(number, number + 1))
    way.acknowledged()
    try:
        wait_for(lambda: undelivered(way.intake) == 0, 2, "the record to be delivered")
    except AssertionError:
        return True
    return False
