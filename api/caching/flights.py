"""Equal work that is asked for at once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work by key; whoever asks while it is under way gets the same result or error."""

    def __init__(self) -> None:
        self._running: dict[Hashable, tuple[asyncio.Task[T], list[int]]] = {}

    async def do(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the result; the work is cancelled when all who waited for it are gone."""
        found = self._running.get(key)
        if found is None:
            task = asyncio.ensure_future(_awaited(make))
            found = self._running[key] = (task, [0])
            task.add_done_callback(lambda done: self._forget(key, done))
        task, waiting = found
        waiting[0] += 1
        try:
            return await asyncio.shield(task)
        finally:
            waiting[0] -= 1
            if not waiting[0] and not task.done():
                self._forget(key, task)
                task.cancel()

    def _forget(self, key: Hashable, task: asyncio.Task[T]) -> None:
        # Another one may have begun in its place.
        found = self._running.get(key)
        if found is not None and found[0] is task:
            del self._running[key]


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()
