"""Reading a topic of our own by offsets that the caller keeps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from emdata.transport.kafka import KafkaAddress, client_options, servers_of
from stream_manager.delivery.producers import broker_answers
from stream_manager.state.resend import KafkaUnavailable

TIMEOUT = 10.0
Offsets = dict[int, int]


class TopicReader:
    """Offsets by partition in, messages out. Blocks: call it from a thread, one call at a time."""

    def __init__(self, kafka: KafkaAddress, topic: str) -> None:
        self._kafka, self.topic = kafka, topic
        self._consumer: Consumer | None = None

    def ends(self) -> Offsets:
        """Return the offset after the last message of each partition; empty without the topic.

        Raises KafkaUnavailable.
        """
        if not broker_answers(self._kafka):
            raise KafkaUnavailable(f"no broker answers at {servers_of(self._kafka)}")
        try:
            consumer = self._open()
            described = consumer.list_topics(self.topic, timeout=TIMEOUT).topics.get(self.topic)
            if described is None or described.error is not None:
                return {}
            return {
                number: consumer.get_watermark_offsets(self._place(number), timeout=TIMEOUT)[1]
                for number in described.partitions
            }
        except KafkaException as error:
            raise self._broken(error) from error

    def bounds(self) -> dict[int, tuple[int, int]]:
        """Return the first kept offset and the one after the last message, by partition.

        Raises KafkaUnavailable.
        """
        return {number: (self._low(number), end) for number, end in self.ends().items()}

    def since(self, at: datetime, ends: Offsets) -> Offsets:
        """Return the offsets of the first messages that were sent at or after an instant.

        Raises KafkaUnavailable.
        """
        stamp = int(at.timestamp() * 1000)
        asked = [TopicPartition(self.topic, number, stamp) for number in ends]
        try:
            found = self._open().offsets_for_times(asked, timeout=TIMEOUT)
        except KafkaException as error:
            raise self._broken(error) from error
        # A negative offset says that nothing was sent since.
        return {
            one.partition: one.offset if one.offset >= 0 else ends[one.partition] for one in found
        }

    def read(self, start: Offsets, end: Offsets) -> Iterator[Message]:
        """Yield the messages from ``start`` up to, not including, ``end``.

        What retention has removed meanwhile is passed over. Raises KafkaUnavailable.
        """
        wanted = [number for number, offset in end.items() if start.get(number, 0) < offset]
        try:
            consumer = self._open()
            first = {
                number: max(start.get(number, 0), self._first_kept(consumer, number))
                for number in wanted
            }
            left = {number for number in wanted if first[number] < end[number]}
            consumer.assign([self._place(number, first[number]) for number in left])
            while left:
                message = consumer.poll(TIMEOUT)
                if message is None:
                    raise self._broken(f"partitions {sorted(left)} stay silent")
                if message.error() is not None:
                    raise self._broken(message.error())
                number, offset = message.partition(), message.offset()
                if number in left and offset is not None:
                    if offset < end[number]:
                        yield message
                    if offset + 1 >= end[number]:
                        left.discard(number)
            consumer.unassign()
        except KafkaException as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Give the connection back; the next call opens it again."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _place(self, number: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self.topic, number, offset)

    def _low(self, number: int) -> int:
        try:
            return self._first_kept(self._open(), number)
        except KafkaException as error:
            raise self._broken(error) from error

    def _first_kept(self, consumer: Consumer, number: int) -> int:
        return int(consumer.get_watermark_offsets(self._place(number), timeout=TIMEOUT)[0])

    def _open(self) -> Consumer:
        if self._consumer is None:
            quiet = logging.getLogger("librdkafka.derived")
            quiet.setLevel(logging.CRITICAL)  # what goes wrong is raised
            self._consumer = Consumer(
                {
                    **client_options(self._kafka),
                    "group.id": "emdata-derived",  # asked for; offsets are never committed
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "queued.max.messages.kbytes": 4096,
                },
                logger=quiet,
            )
        return self._consumer

    def _broken(self, error: object) -> KafkaUnavailable:
        self.close()
        return KafkaUnavailable(f"topic {self.topic}: {error}")
