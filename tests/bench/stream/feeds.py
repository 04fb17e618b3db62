"""Connectors that feed rows into a real stream manager, as a source's connector would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from emdata.contracts import Priority, Record
from emdata.errors import EmdataError
from stream_manager.session import PollSession
from tests.bench.stream.records import TAILS, contract_of, row, rows, tails

ENTITIES = 50_000
TICK = 0.005


async def give(session: PollSession, record: type[Record], raws: Sequence[bytes]) -> None:
    """Take encoded rows into a poll: decode, validate, accept."""
    decode = msgspec.json.Decoder(record).decode
    for raw in raws:
        try:
            value = decode(raw)
        except (msgspec.MsgspecError, EmdataError, RecursionError) as error:
            session.row_rejected(raw, error)
            continue
        await session.row_parsed([value])


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

    Rows are new versions of 50,000 entities, so that every one is compared and none is unchanged.
    """

    seconds: float = 0.0
    count: int = 0
    rows_a_poll: int = 5000

    async def poll(self, session: PollSession) -> None:
        """One document of rows."""
        size = self.rows_a_poll
        if self.count:
            size = min(size, self.count - self.given)
        numbers = range(self.given, self.given + size)
        batch = rows(numbers, self.priority, entities=ENTITIES)
        session.document(sum(map(len, batch)))
        await give(session, self.record, batch)
        self.given += len(batch)
        await session.finish("ok")
        is_over = self.seconds and time.monotonic() >= self.began_at + self.seconds
        if is_over or 0 < self.count <= self.given:
            self.done.set()


@dataclass
class Paced(Feed):
    """``rate`` rows a second in polls of a second; each row carries when it was due."""

    rate: float = 100.0
    seconds: float = 10.0

    def __post_init__(self) -> None:
        self._began = 0
        self._total = int(self.rate * self.seconds)
        self._step = int(1e9 / self.rate)

    async def poll(self, session: PollSession) -> None:
        """What falls due within a second; later rows are the next poll's."""
        self._began = self._began or time.time_ns()
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends and self.given < self._total:
            due = min(self._total, (time.time_ns() - self._began) // self._step)
            if due <= self.given:
                await asyncio.sleep(min(TICK, self._step / 1e9 / 4))
                continue
            parts = tails(self.priority)
            batch = [
                row(number, self._began + number * self._step, parts[number % TAILS])
                for number in range(self.given, due)
            ]
            await give(session, self.record, batch)
            self.given = due
        await session.finish("ok")
        if self.given >= self._total:
            self.done.set()


@dataclass
class Resumable(Feed):
    """Rows by a cursor: number n exists from ``began_ns`` + n / rate on, and can be asked again."""

    rate: float = 4000.0
    count: int = 180_000
    began_ns: int = 0

    async def poll(self, session: PollSession) -> None:
        """All rows that exist from the cursor on, at most a second's worth."""
        first = int(session.cursor.get("next", 0))
        while True:
            there = min(self.count, int((time.time_ns() - self.began_ns) * self.rate / 1e9))
            if there > first:
                break
            await asyncio.sleep(0.02)
        end = min(there, first + int(self.rate))
        await give(session, self.record, rows(range(first, end), self.priority))
        commit = await session.finish("ok", cursor={"next": end})
        if commit.cursor == {"next": end}:
            self.given = end
            if end >= self.count:
                self.done.set()


KINDS: dict[str, type[Feed]] = {"flood": Flood, "paced": Paced, "resumable": Resumable}
