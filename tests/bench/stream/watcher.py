"""A consumer that notes when each record of a topic could be read."""

from __future__ import annotations

import re
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import Consumer, TopicPartition

from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import topic_of
from tests.support.waiting import wait_for

ACCEPTED = re.compile(rb'"accepted_at":"([^"]+)"')
OFFERED = re.compile(rb'"offered_ns":(\d+)')


@dataclass
class Watcher:
    """Delays in ms, from acceptance and from when the row was at hand; read in a thread.

    accepted: wall clock in s of acceptance. first_at: monotonic, of the first record.
    """

    accepted: list[float] = field(default_factory=list)
    since_accepted: list[float] = field(default_factory=list)
    since_offered: list[float] = field(default_factory=list)
    first_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, consumer: Consumer) -> None:
        """Read until told to stop."""
        while not self._stop.is_set():
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            now, at = time.time(), time.monotonic()
            self.first_at = self.first_at or at
            value = message.value() or b""
            accepted, offered = ACCEPTED.search(value), OFFERED.search(value)
            if accepted is None or offered is None:
                raise SystemExit(f"not a record of a benchmark: {value!r}")
            text = accepted[1].decode()
            instant = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
            self.accepted.append(instant)
            self.since_accepted.append((now - instant) * 1e3)
            self.since_offered.append(now * 1e3 - int(offered[1]) / 1e6)

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stop.set()

    def wait(self, count: int, timeout: float) -> None:
        """Wait until ``count`` records were read."""
        wait_for(lambda: len(self.since_offered) >= count, timeout, f"{count} records to be read")

    def expect_news(self) -> None:
        """Wait until nothing new comes, and forget when the first record came."""
        last = -1

        def is_quiet() -> bool:
            nonlocal last
            before, last = last, len(self.since_offered)
            return before == last

        wait_for(is_quiet, 60, "the consumer to be at the end", interval=0.5)
        self.first_at = 0.0

    def first(self, timeout: float) -> float:
        """When the first record came, on the monotonic clock; waits for one."""
        return wait_for(lambda: self.first_at, timeout, "a record", interval=0.01)

    def delays_after(self, at: float) -> list[float]:
        """Delays of records that were accepted after a wall-clock time in s."""
        pairs = zip(self.accepted, self.since_accepted, strict=False)
        return [delay for accepted, delay in pairs if accepted > at]


@contextmanager
def watching(servers: Servers, dataset: str) -> Iterator[Watcher]:
    """A watcher of a topic from its end on."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers.kafka,
            "group.id": f"watch-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic_of(dataset), 0, 0)])
    watcher = Watcher()
    thread = threading.Thread(target=watcher.run, args=(consumer,))
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join()
        consumer.close()


def percentile(values: list[float], percent: int) -> float:
    """The value below which so many percent lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
