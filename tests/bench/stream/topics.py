"""Kafka seen from outside: topics of one partition, and a reader that counts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, TopicPartition

from tests.bench.stream.records import contract_of
from tests.bench.stream.servers import Servers
from tests.stream_manager.door import delete_topic, make_topic

SEQ = re.compile(rb'"seq":(\d+)')
WAIT_S = 30.0


@dataclass(frozen=True)
class Counted:
    """What a consumer found: messages, distinct sequence numbers, and the highest one."""

    messages: int
    distinct: int
    highest: int

    @property
    def lost(self) -> int:
        """Numbers that are missing."""
        return self.highest - self.distinct

    @property
    def repeated(self) -> int:
        """Messages that repeat a number, as after a crash; keying removes them."""
        return self.messages - self.distinct


def new_dataset(servers: Servers) -> str:
    """Make a dataset's name and its topic."""
    name = f"bench_alerts_{servers.next_number()}"
    make_topic(servers.kafka, topic_of(name))
    return name


def topic_of(dataset: str) -> str:
    """The topic of a dataset."""
    return contract_of(dataset).dataset.topic


def remove_dataset(servers: Servers, name: str) -> None:
    """Delete a dataset's topic, for its space on the disk."""
    delete_topic(servers.kafka, topic_of(name))


def read(servers: Servers, dataset: str) -> Iterator[list[Message]]:
    """Read a whole topic in order of arrival, in batches."""
    topic = topic_of(dataset)
    consumer = Consumer(
        {
            "bootstrap.servers": servers.kafka,
            "group.id": f"count-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": 16384,
            "fetch.queue.backoff.ms": 10,  # a full queue must not cost a second
        }
    )
    try:
        place = TopicPartition(topic, 0)
        position, end = consumer.get_watermark_offsets(place, timeout=WAIT_S)
        consumer.assign([TopicPartition(topic, 0, position)])
        while position < end:
            # Asked for more than there is, it would wait all its time for the rest.
            batch = consumer.consume(min(5000, end - position), WAIT_S)
            if not batch or batch[-1].error() is not None:
                raise SystemExit(f"{topic}: nothing read at {position} of {end}")
            position = (batch[-1].offset() or 0) + 1
            yield batch
    finally:
        consumer.close()


def count(servers: Servers, dataset: str) -> Counted:
    """Read a whole topic and count its sequence numbers."""
    seen = bytearray(1 << 16)
    messages = highest = 0
    for batch in read(servers, dataset):
        for message in batch:
            seq = seq_of(message)
            while seq >= len(seen):
                seen.extend(bytes(len(seen)))
            seen[seq] = 1
            highest = max(highest, seq)
        messages += len(batch)
    return Counted(messages, seen.count(1), highest)


def count_messages(servers: Servers, dataset: str) -> int:
    """Read a whole topic and count its messages."""
    return sum(len(batch) for batch in read(servers, dataset))


def seq_of(message: Message) -> int:
    """The sequence number in a message's value."""
    found = SEQ.search(message.value() or b"")
    if found is None:
        raise SystemExit(f"a message without a sequence number: {message.value()!r}")
    return int(found[1])
