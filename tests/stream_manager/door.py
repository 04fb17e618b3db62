"""A door on real servers: an intake in the test's process, and a reader of what Kafka holds."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from sqlalchemy import Engine

from emdata.clock import SystemClock
from emdata.envelope import Accepted
from stream_manager.delivery.lanes import Lanes
from stream_manager.delivery.producers import broker_answers
from stream_manager.intake import Intake, IntakeConfig
from tests.stream_manager.making import DATASET, draft
from tests.support.platform import Platform
from tests.support.waiting import wait_for

_WRITERS = itertools.count(101)


@dataclass
class Door:
    """An intake and the futures of what was offered to it.

    Every door has a writer number, and so a numbering, of its own. is_cut_off: it sees no broker
    and connects to none. extra: settings of its producers.
    """

    folder: Path
    engine: Engine
    servers: str
    topic: str
    writer: int = field(default_factory=lambda: next(_WRITERS))
    offered: list[Future[list[Accepted]]] = field(default_factory=list)
    is_cut_off: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the buffer, as after a start of the process."""
        config = IntakeConfig(self.folder, self.writer, 1 << 20, 64 << 20)
        self.intake = Intake(
            config,
            self.engine,
            SystemClock(),
            make_producer=Lanes(self.servers, self.folder, self.writer, extra=self.extra),
            is_up=lambda: not self.is_cut_off and broker_answers(self.servers),
        )
        self.intake.start(self.intake.open())

    def close(self) -> None:
        """Stop, as at SIGTERM."""
        self.intake.stop()

    def offer(
        self, numbers: range, *, priority: int = 3, size: int = 40, topic: str | None = None
    ) -> None:
        """Append records; keys repeat, ten a priority, so that they have versions."""
        drafts = [
            msgspec.structs.replace(
                draft(number, priority=priority, size=size, poll_id=f"p{self.writer}"),
                topic=topic or self.topic,
                kafka_key=f"{priority}-{number % 10}",
            )
            for number in numbers
        ]
        self.offered.append(self.intake.writer.append(drafts))

    def acknowledged(self) -> int:
        """Wait for all appends and return how many records were acknowledged."""
        return sum(len(future.result(60)) for future in self.offered)

    def wait_delivered(self, timeout: float = 60) -> None:
        """Wait until all is acknowledged and the buffer holds nothing that Kafka has not."""
        self.acknowledged()
        wait_for(lambda: undelivered(self.intake) == 0, timeout, "everything to be delivered")


def undelivered(intake: Intake) -> int:
    """Records that the buffer holds for Kafka."""
    return intake.log.segments.undelivered()


@contextmanager
def door(
    platform: Platform, folder: Path, engine: Engine, *, is_cut_off: bool = False, **config: str
) -> Iterator[Door]:
    """A door with a topic of its own."""
    servers = platform.settings.kafka_servers
    topic = f"made-{uuid.uuid4().hex[:8]}"
    make_topic(servers, topic, **config)
    made = Door(folder, engine, servers, topic, is_cut_off=is_cut_off)
    try:
        yield made
    finally:
        made.close()


def end(platform: Platform, service: str) -> None:
    """Stop a server, as in an outage, and wait until it is gone."""
    platform.supervisor.stop(service)
    wait_for(
        lambda: platform.supervisor.states()[service].state == "STOPPED", 60, f"{service} to stop"
    )


def begin(platform: Platform, service: str) -> None:
    """Start a server again and wait until it answers."""
    platform.supervisor.start(service)
    platform.wait_ready(service)


def make_topic(servers: str, topic: str, **config: str) -> None:
    """Create a topic of one partition and wait until it is there."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    settings = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, 1, 1, config=settings)])[topic].result(30)
    wait_for(lambda: topic in admin.list_topics(timeout=10).topics, 30, f"topic {topic}")


def delete_topic(servers: str, topic: str) -> None:
    """Delete a topic and wait until it is gone."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.delete_topics([topic])[topic].result(30)
    wait_for(lambda: topic not in admin.list_topics(timeout=10).topics, 30, f"no topic {topic}")


def read_topic(servers: str, topic: str) -> list[dict[str, Any]]:
    """Return the values of a topic, partition by partition, in order of offset."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": f"read-{uuid.uuid4().hex}"})
    values = []
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        for number in partitions:
            place = TopicPartition(topic, number)
            position, end = consumer.get_watermark_offsets(place, timeout=30)
            consumer.assign([TopicPartition(topic, number, position)])
            while position < end:
                message = consumer.poll(30)
                assert message is not None, f"{topic}: nothing at {position} of {end}"
                assert message.error() is None, message.error()
                values.append(json.loads(message.value() or b""))
                position = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return values


def assert_exact(values: list[dict[str, Any]], count: int) -> None:
    """Every number once after keying by seq, and first arrivals in order per Kafka key."""
    by_seq: dict[int, dict[str, Any]] = {}
    last: dict[tuple[int, int], int] = {}
    for value in values:
        if value["seq"] in by_seq:
            assert by_seq[value["seq"]] == value, "one number, two records"
            continue
        by_seq[value["seq"]] = value
        key = (value["priority"], value["n"] % 10)
        assert value["seq"] > last.get(key, 0), f"{DATASET} key {key} out of order"
        last[key] = value["seq"]
    assert sorted(by_seq) == list(range(1, count + 1))
