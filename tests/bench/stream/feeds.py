"""Connectors that feed rows into a real stream manager, as a source's connector would."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from emdata.contracts import Priority, Record
from stream_manager.polls.session import PollSession
from stream_manager.push.door import PushDoor, PushItem
from tests.bench.stream.records import TAILS, contract_of, row, rows, tails

READY = 5000  # the rows of a poll
LEAST_WAIT = 0.001


@dataclass
class Feed:
    """What all feeds share. ``done`` is set when the last row was given; began_at: monotonic."""

    name: str
    dataset: str
    priority: Priority = Priority.LOW
    given: int = 0
    began_at: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def source(self) -> str:
        """The upstream's short name."""
        return "bench"

    @property
    def record(self) -> type[Record]:
        """The contract."""
        return contract_of(self.dataset)

    @property
    def emits(self) -> tuple[type[Record], ...]:
        """The contracts it delivers."""
        return (self.record,)

    async def run_poll(self, session: PollSession, arguments: dict[str, Any]) -> None:
        """Do one poll; once the feed is done, wait until the stream is stopped."""
        if self.done.is_set():
            await asyncio.Event().wait()
        self.began_at = self.began_at or time.monotonic()
        await self.poll(session)

    async def poll(self, session: PollSession) -> None:
        """Give rows and finish the session."""
        raise NotImplementedError


@dataclass
class Flood(Feed):
    """As fast as the manager takes them, for ``seconds`` or until ``count`` rows were given.

    The rows are ready beforehand, as the control's messages are, and come again and again.
    """

    seconds: float = 0.0
    count: int = 0
    rows_a_poll: int = 5000

    def __post_init__(self) -> None:
        self._ready = rows(range(READY), self.priority)

    async def poll(self, session: PollSession) -> None:
        """One document of rows."""
        size = self.rows_a_poll
        if self.count:
            size = min(size, self.count - self.given)
        start = self.given % READY
        batch = self._ready[start : start + size]
        session.document(sum(map(len, batch)))
        await session.rows_encoded(self.record, batch)
        self.given += len(batch)
        await session.finish("ok")
        is_over = self.seconds and time.monotonic() >= self.began_at + self.seconds
        if is_over or 0 < self.count <= self.given:
            self.done.set()


@dataclass
class Due:
    """``rate`` rows a second for ``seconds``; each row carries when it was due."""

    rate: float
    seconds: float
    priority: Priority
    given: int = 0

    def __post_init__(self) -> None:
        self.total = int(self.rate * self.seconds)
        self._step = int(1e9 / self.rate)
        self._began = time.time_ns()

    async def next(self) -> list[bytes]:
        """The rows that are due; waits for one. Empty at the end."""
        while self.given < self.total:
            # Row n falls due n steps after the beginning, as the control's.
            due = min(self.total, (time.time_ns() - self._began) // self._step + 1)
            if due > self.given:
                break
            left = (self._began + self.given * self._step - time.time_ns()) / 1e9
            # asyncio rounds what it waits up to whole milliseconds, which no sender does.
            await asyncio.to_thread(time.sleep, max(left, LEAST_WAIT if self.rate > 1000 else 0.0))
        else:
            return []
        parts, numbers = tails(self.priority), range(self.given, due)
        self.given = due
        return [
            row(number, self._began + number * self._step, parts[number % TAILS])
            for number in numbers
        ]


@dataclass
class Paced(Feed):
    """A source with news all the time, in polls of half a second."""

    rate: float = 100.0
    seconds: float = 10.0
    _due: Due | None = None

    async def poll(self, session: PollSession) -> None:
        """What falls due within half a second; later rows are the next poll's."""
        self._due = self._due or Due(self.rate, self.seconds, self.priority)
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends and (batch := await self._due.next()):
            await session.rows_encoded(self.record, batch)
        await session.finish("ok")
        self.given = self._due.given
        if self.given >= self._due.total:
            self.done.set()


@dataclass
class Pushed(Feed):
    """A sender that sends by itself, each message as it falls due."""

    rate: float = 100.0
    seconds: float = 10.0

    async def run_push(self, door: PushDoor) -> None:
        """Hand over what arrived, as soon as the batch before is durable."""
        decode = msgspec.json.Decoder(self.record).decode
        self.began_at = time.monotonic()
        due = Due(self.rate, self.seconds, self.priority)
        while batch := await due.next():
            await door.take([PushItem(raw, (decode(raw),)) for raw in batch])
            self.given = due.given
        self.done.set()
        await asyncio.Event().wait()


@dataclass
class Resumable(Feed):
    """Rows by a cursor: number n exists from ``began_ns`` + n / rate on, and can be asked again."""

    rate: float = 4000.0
    count: int = 180_000
    began_ns: int = 0

    async def poll(self, session: PollSession) -> None:
        """All rows that exist from the cursor on, at most a second's worth."""
        first = int(session.cursor.get("next", 0))
        while (there := self._there()) <= first < self.count:
            await asyncio.sleep(0.02)
        end = min(there, first + int(self.rate))
        await session.rows_encoded(self.record, rows(range(first, end), self.priority))
        commit = await session.finish("ok", cursor={"next": end})
        if commit.cursor == {"next": end}:
            self.given = end
            if end >= self.count:
                self.done.set()

    def _there(self) -> int:
        return min(self.count, int((time.time_ns() - self.began_ns) * self.rate / 1e9))


KINDS: dict[str, type[Feed]] = {
    "flood": Flood,
    "paced": Paced,
    "pushed": Pushed,
    "resumable": Resumable,
}
