"""All streams of this process: a tail for each topic that somebody listens to, and their number."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.access.caller import Caller
from api.problems import Problem
from api.streams.following import Follower
from api.streams.position import Position
from api.streams.tail import Tail, TailConfig

OPEN_SECONDS = 5.0
OLDER_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class HubLimits:
    """Streams of this process: of all, and of one organization; anonymous ones count as one."""

    most: int = 2_000
    most_of_one: int = 200


class Hub:
    """Belongs to the event loop that it is used from first."""

    def __init__(self, config: TailConfig, limits: HubLimits) -> None:
        self._config, self._limits = config, limits
        self._tails: dict[str, Tail] = {}
        self._open: Counter[str] = Counter()
        self._older: asyncio.Semaphore | None = None

    @property
    def open_streams(self) -> int:
        """How many listeners there are."""
        return self._open.total()

    async def follow(self, topic: str, start: Position | None) -> Follower:
        """Return a listener of a topic.

        Raises Problem ``unavailable`` when Kafka does not answer.
        """
        tail = self._tails.get(topic)
        if tail is None:
            tail = Tail(topic, self._config, asyncio.get_running_loop())
            self._tails[topic] = tail
        ring = await tail.opened(OPEN_SECONDS)
        if ring is None:
            detail = "Kafka does not answer at the moment; items are still served"
            raise Problem("unavailable", detail, headers={"Retry-After": "5"})
        if self._older is None:
            self._older = asyncio.Semaphore(OLDER_AT_A_TIME)
        return Follower(tail, ring, start, self._config.kafka, self._older)

    @contextmanager
    def admitted(self, caller: Caller) -> Iterator[None]:
        """Count a stream while it is open.

        Raises Problem ``too-many-requests`` beyond the limits.
        """
        name = caller.organization
        if self._open.total() >= self._limits.most:
            raise _too_many(f"this server has {self._limits.most} open streams")
        if self._open[name] >= self._limits.most_of_one:
            raise _too_many(f"{name} has {self._limits.most_of_one} open streams")
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]

    def close(self) -> None:
        """End the readers of Kafka."""
        for tail in self._tails.values():
            tail.stop()
        self._tails.clear()


def _too_many(what: str) -> Problem:
    detail = f"{what}, which is the limit; close one, or ask for items"
    return Problem("too-many-requests", detail, headers={"Retry-After": "30"})
