"""Requests at once: a cap for each organization, and lanes by priority where many want to work.

An answer holds its organization's slot until its last byte, and the process's slot only until it
begins, so that slow readers block nobody but themselves.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from dataclasses import dataclass, field
from itertools import count

from api import metrics

WAIT_SECONDS = 2.0
QUEUE = 1000


class Crowded(Exception):
    """There is no slot; ``is_own``: because of the organization's own requests."""

    def __init__(self, is_own: bool) -> None:
        super().__init__("no slot")
        self.is_own = is_own


@dataclass(order=True, slots=True)
class _Waiter:
    priority: int
    number: int
    organization: str = field(compare=False)
    concurrent: int = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class Slot:
    """A place that one request holds."""

    __slots__ = ("_is_held", "_is_working", "_organization", "_slots")

    def __init__(self, slots: Slots, organization: str) -> None:
        self._slots, self._organization = slots, organization
        self._is_working = self._is_held = True

    def answered(self) -> None:
        """Give the process's slot back: the answer has begun."""
        if self._is_working:
            self._is_working = False
            self._slots._finished()

    def leave(self) -> None:
        """Give everything back; a stream does so early, and has caps of its own."""
        self.answered()
        if self._is_held:
            self._is_held = False
            self._slots._left(self._organization)


class Slots:
    """The slots of one process; ``workers`` processes share an organization's cap evenly."""

    def __init__(self, total: int, workers: int = 1) -> None:
        self._total, self._workers = total, workers
        self._working = 0
        self._held: dict[str, int] = {}
        self._queue: list[_Waiter] = []
        self._queued: dict[str, int] = {}
        self._numbers = count()

    async def enter(self, organization: str, concurrent: int, priority: int) -> Slot:
        """Return a slot, at once or within WAIT_SECONDS; lanes of a lower number go first.

        Raises Crowded.
        """
        cap = max(1, math.ceil(concurrent / self._workers))
        if not self._queue and self._has_room(organization, cap):
            return self._taken(organization)
        if self._queued.get(organization, 0) >= cap:
            raise Crowded(is_own=True)
        if len(self._queue) >= QUEUE:
            raise Crowded(is_own=False)
        turn = asyncio.get_running_loop().create_future()
        waiter = _Waiter(priority, next(self._numbers), organization, cap, turn)
        heapq.heappush(self._queue, waiter)
        self._queued[organization] = self._queued.get(organization, 0) + 1
        metrics.WAITING.inc()
        self._admit()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                Slot(self, organization).leave()
            if isinstance(error, TimeoutError):
                raise Crowded(is_own=self._held.get(organization, 0) >= cap) from None
            raise
        finally:
            _lower(self._queued, organization)
            metrics.WAITING.dec()
            if waiter in self._queue:
                self._queue.remove(waiter)
                heapq.heapify(self._queue)
        return Slot(self, organization)

    def _has_room(self, organization: str, cap: int) -> bool:
        return self._working < self._total and self._held.get(organization, 0) < cap

    def _taken(self, organization: str) -> Slot:
        self._working += 1
        self._held[organization] = self._held.get(organization, 0) + 1
        metrics.RUNNING.inc()
        return Slot(self, organization)

    def _finished(self) -> None:
        self._working -= 1
        metrics.RUNNING.dec()
        self._admit()

    def _left(self, organization: str) -> None:
        _lower(self._held, organization)
        self._admit()

    def _admit(self) -> None:
        """Give turns in the order of lanes; who has enough of their own lets others pass."""
        if not self._queue or self._working >= self._total:
            return
        kept = []
        while self._queue and self._working < self._total:
            waiter = heapq.heappop(self._queue)
            if waiter.turn.done():
                continue
            if self._has_room(waiter.organization, waiter.concurrent):
                self._taken(waiter.organization)
                waiter.turn.set_result(None)
            else:
                kept.append(waiter)
        for waiter in kept:
            heapq.heappush(self._queue, waiter)


def _lower(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]
