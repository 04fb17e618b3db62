"""One reader of a topic's end, in a thread, for all listeners of this process."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from api.streams.position import Position
from api.streams.ring import Read, Ring
from emdata.telemetry import get_logger
from emdata.transport.kafka import KafkaAddress, client_options

log = get_logger(__name__)
BATCH = 500
POLL_SECONDS = 0.5
LOOK_SECONDS = 5.0
ANSWER_SECONDS = 2.0
AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TailConfig:
    """What a process keeps of each topic for listeners that fall behind."""

    kafka: KafkaAddress
    most: int = 5_000
    most_bytes: int = 16 << 20


class Tail:
    """The newest messages of one topic. Belongs to one event loop; only ``_run`` is elsewhere.

    is_connected: the broker answered within the last seconds, so that silence means that there is
    nothing new.
    """

    def __init__(self, topic: str, config: TailConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.topic, self._config, self._loop = topic, config, loop
        self.ring: Ring | None = None
        self.is_connected = False
        self._news = loop.create_future()
        self._stopping = threading.Event()
        self._has_begun = False
        self._thread = threading.Thread(target=self._run, name=f"tail-{topic}", daemon=True)
        self._thread.start()

    def news(self) -> asyncio.Future[None]:
        """Return a future that ends with the next change: messages, or the connection's state."""
        return self._news

    async def opened(self, seconds: float) -> Ring | None:
        """Return the ring once the topic's end is known; None when the broker stays silent."""
        deadline = self._loop.time() + seconds
        while self.ring is None and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait({self._news}, timeout=left)
        return self.ring

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopping.set()

    def _changed(self) -> None:
        self._news.set_result(None)
        self._news = self._loop.create_future()

    def _add(self, messages: list[Read]) -> None:
        if self.ring is None:
            return
        if self.ring.goes_back(messages):
            log.warning("topic_made_anew", topic=self.topic)
            start = Position({one.partition: one.offset for one in reversed(messages)})
            self.ring = Ring(start, self._config.most, self._config.most_bytes)
        self.ring.add(messages)
        self._changed()

    def _begin(self, start: Position) -> None:
        if self.ring is None:
            self.ring = Ring(start, self._config.most, self._config.most_bytes)
            self._changed()

    def _connected(self, is_connected: bool) -> None:
        if is_connected != self.is_connected:
            self.is_connected = is_connected
            log.info("tail_connection", topic=self.topic, is_connected=is_connected)
            self._changed()

    # From here on in the thread.

    def _run(self) -> None:
        place: dict[int, int] = {}
        while not self._stopping.is_set():
            consumer = _open(self._config.kafka)
            try:
                self._follow(consumer, place)
            except KafkaException as error:
                log.warning("tail_broken", topic=self.topic, error=str(error)[:200])
                self._tell(self._connected, False)
                self._stopping.wait(AGAIN_SECONDS)
            finally:
                consumer.close()

    def _follow(self, consumer: Consumer, place: dict[int, int]) -> None:
        """Read until stopped; ``place`` is where to go on after a broken connection."""
        self._assign(consumer, place)
        look_at = time.monotonic() + LOOK_SECONDS
        while not self._stopping.is_set():
            first = consumer.poll(POLL_SECONDS)
            if first is not None:
                messages = [first, *consumer.consume(BATCH, 0)]
                found = [read for message in messages if (read := read_of(message)) is not None]
                place.update({read.partition: read.offset + 1 for read in found})
                self._tell(self._add, found)
            if time.monotonic() >= look_at:
                if _partitions(consumer, self.topic) != set(place):
                    self._assign(consumer, place)
                self._tell(self._connected, True)
                look_at = time.monotonic() + LOOK_SECONDS

    def _assign(self, consumer: Consumer, place: dict[int, int]) -> None:
        """Go on at ``place``; what it does not know: at the first time the end, later the begin."""
        for number in _partitions(consumer, self.topic):
            if number not in place:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(self.topic, number), timeout=ANSWER_SECONDS
                )
                place[number] = low if self._has_begun else high
        self._has_begun = True
        consumer.assign([TopicPartition(self.topic, n, at) for n, at in place.items()])
        self._tell(self._begin, Position(place))
        self._tell(self._connected, True)

    def _tell(self, what: object, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: the process ends
            self._stopping.set()


def read_of(message: Message) -> Read | None:
    """Return what listeners need of a message; None for one without a value.

    Raises KafkaException for what the consumer reports as an error.
    """
    error = message.error()
    if error is not None:
        raise KafkaException(error)
    value, partition, offset = message.value(), message.partition(), message.offset()
    if not isinstance(value, bytes) or partition is None or offset is None:
        return None
    return Read(partition, offset, value)


def _partitions(consumer: Consumer, topic: str) -> set[int]:
    """Return the topic's partitions; empty while it does not exist."""
    described = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics.get(topic)
    return set() if described is None or described.error else set(described.partitions)


def _open(kafka: KafkaAddress) -> Consumer:
    quiet = logging.getLogger("librdkafka.tail")
    quiet.setLevel(logging.CRITICAL)  # what goes wrong is raised
    return Consumer(
        {
            **client_options(kafka),
            "group.id": "emdata-api",  # asked for; offsets are never committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # A place that is gone (a topic made anew, retention): what there is, from its begin.
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 4096,
        },
        logger=quiet,
    )
