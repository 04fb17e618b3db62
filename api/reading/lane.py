"""Who gets the next free connection: by lane, and by how long somebody waits already."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.problems import Problem

LANE_SECONDS = 0.25
"""A lane behind another counts as having come so much later: nobody waits for ever."""
MOST_WAITING = 1000


class Lane:
    """A number of places, given by priority; 0 is first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def place(self, priority: int, seconds: float) -> AsyncIterator[None]:
        """Hold a place; raises Problem ``unavailable`` when none is free within ``seconds``."""
        await self._enter(priority, seconds)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, priority: int, seconds: float) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= MOST_WAITING:
            raise _busy()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        due = loop.time() + priority * LANE_SECONDS
        heapq.heappush(self._waiting, (due, next(self._numbers), turn))
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The place came together with the end of the wait.
                self._leave()
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def _leave(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _busy() -> Problem:
    text = "all connections to the warehouse are busy; ask again in some seconds"
    return Problem("unavailable", text, headers={"Retry-After": "2"})
