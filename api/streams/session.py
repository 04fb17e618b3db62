"""What one listener is sent, whatever carries it: items, heartbeats, gaps, an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from api.streams.following import Connection, Follower, Gap, Happening
from api.streams.ring import Entry
from stream_manager.state.resend import KafkaUnavailable

T = TypeVar("T")
HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Ending:
    """When a stream ends by itself; None: never."""

    items: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How items and our own events are written."""

    item: Callable[[Entry], T]
    event: Callable[[str, dict[str, Any], str], T]
    join: Callable[[list[T]], T]


class Session(Generic[T]):
    """One listener.

    The first event, ``open``, tells the place: who comes back without having seen an item resumes
    there. ``heartbeat`` comes after silence and tells whether Kafka answers; ``status`` when that
    changes; ``gap`` names what cannot be sent any more; ``end`` says why the stream ends.
    """

    def __init__(
        self,
        follower: Follower,
        matches: Callable[[dict[str, Any]], bool],
        form: Form[T],
        ending: Ending,
        about: dict[str, Any],
    ) -> None:
        self._follower, self._matches, self._form = follower, matches, form
        self._ending, self._about = ending, about
        self._started, self._sent, self._is_connected = time.monotonic(), 0, True
        self._place = str(follower.position)

    async def events(self) -> AsyncGenerator[T, None]:
        """Yield what is sent, until the ending."""
        yield self._event("open", self._about)
        happenings = self._follower.happenings()
        waiting: asyncio.Task[Happening] | None = None
        try:
            while (reason := self._reason_to_end()) is None:
                waiting = waiting or asyncio.ensure_future(_next(happenings))
                await asyncio.wait({waiting}, timeout=self._patience())
                if waiting.done():
                    happening, waiting = waiting.result(), None
                    for part in self._say(happening):
                        yield part
                elif self._reason_to_end() is None:
                    yield self._event("heartbeat", {"isConnected": self._is_connected})
            yield self._event("end", {"reason": reason})
        except KafkaUnavailable:
            yield self._event("end", {"reason": "unavailable", "retryAfterSeconds": 5})
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.wait({waiting})
            await happenings.aclose()

    def _say(self, happening: Happening) -> list[T]:
        if isinstance(happening, Connection):
            self._is_connected = happening.is_connected
            return [self._event("status", {"isConnected": self._is_connected})]
        if isinstance(happening, Gap):
            self._place = str(self._follower.position)
            return [self._event("gap", _gap(happening))]
        wanted = [entry for entry in happening if self._matches(entry.values)]
        left = None if self._ending.items is None else self._ending.items - self._sent
        is_cut = left is not None and len(wanted) > left
        wanted = wanted[:left]
        # Who comes back gets what was cut off.
        self._place = str(wanted[-1].position if is_cut else self._follower.position)
        self._sent += len(wanted)
        return [self._form.join([self._form.item(entry) for entry in wanted])] if wanted else []

    def _event(self, name: str, data: dict[str, Any]) -> T:
        return self._form.event(name, data, self._place)

    def _left(self) -> float | None:
        if self._ending.seconds is None:
            return None
        return self._started + self._ending.seconds - time.monotonic()

    def _patience(self) -> float:
        left = self._left()
        return HEARTBEAT_SECONDS if left is None else max(0.0, min(HEARTBEAT_SECONDS, left))

    def _reason_to_end(self) -> str | None:
        if self._ending.items is not None and self._sent >= self._ending.items:
            return "limit"
        left = self._left()
        return "seconds" if left is not None and left <= 0 else None


async def _next(happenings: AsyncGenerator[Happening, None]) -> Happening:
    return await anext(happenings)


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "partition": gap.partition,
        "askedOffset": gap.asked,
        "firstOffset": gap.first,
        "reason": "Kafka no longer has what lies between; read items by accepted_at",
    }
