"""Gauges that nobody sets on the way: asked for every few seconds.

What is asked of PostgreSQL or Kafka waits in a thread, so that a server which hangs does not hold
up the manager's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.settings import Settings
from emdata.state.dead_letters import count_letters
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.delivery.producers import broker_answers
from stream_manager.manager import StreamManager

log = get_logger(__name__)
EVERY_SECONDS = 5.0
_OF_STREAMS = (metrics.BATCH_SIZE, metrics.INTERVAL, metrics.LAST_POLL)


class Gauges:
    """``run`` on the manager's event loop until cancelled.

    streams: the rows of ``StreamManager.status``. dead_letters: how many wait; raises
    StateUnavailable. is_kafka_up: whether a broker can be reached.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        streams: Callable[[], Sequence[dict[str, Any]]],
        dead_letters: Callable[[], int],
        is_kafka_up: Callable[[], bool],
    ) -> None:
        self._clock, self._streams = clock, streams
        self._dead_letters, self._is_kafka_up = dead_letters, is_kafka_up
        self._known: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Set every gauge once."""
        self._look_at_streams()
        metrics.KAFKA_CONNECTED.set(int(await asyncio.to_thread(self._is_kafka_up)))
        try:
            metrics.DLQ_SIZE.set(await asyncio.to_thread(self._dead_letters))
        except StateUnavailable as error:
            # The last answer stays: stream_unapplied_commits tells that PostgreSQL is away.
            log.info("dead_letters_not_counted", error=str(error)[:200])

    def _look_at_streams(self) -> None:
        now = self._clock.now().timestamp()
        rows = {(row["source"], row["stream"]): row for row in self._streams()}
        for place in set(self._known) - set(rows):
            del self._known[place]
            for gauge in _OF_STREAMS:
                gauge.remove(*place)
        for place, row in rows.items():
            started = self._known.setdefault(place, now)
            metrics.BATCH_SIZE.labels(*place).set(row["batch_size"])
            metrics.INTERVAL.labels(*place).set(row["every_seconds"])
            metrics.LAST_POLL.labels(*place).set(_seconds(row["last_finished_at"]) or started)


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


async def keep_gauges(
    manager: StreamManager, engine: Engine, settings: Settings, clock: Clock
) -> None:
    """Keep the gauges of a manager's process until cancelled."""
    metrics.QUEUE_CAPACITY.set(settings.queue_capacity)
    metrics.BUFFER_LIMIT.set(manager.intake.config.max_bytes)
    await Gauges(
        clock,
        streams=manager.status,
        dead_letters=partial(_waiting_letters, engine),
        is_kafka_up=partial(broker_answers, settings.kafka),
    ).run()


def _waiting_letters(engine: Engine) -> int:
    return sum(int(row["letters"]) for row in count_letters(engine))
