"""Entries of requests, stored in groups; whoever notes one waits until it is there and anchored."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress

from sqlalchemy import Engine

from emdata.audit_anchors import Anchors
from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.state.audit_chain import Entry, Tail, record
from emdata.telemetry import get_logger

log = get_logger(__name__)
REFUSALS_SECONDS = 1.0


class AuditLog:
    """The writer of one process. ``key``: of the chain. ``process`` names its anchors."""

    def __init__(
        self, engine: Engine, anchors: Anchors, clock: Clock, *, key: bytes, process: str
    ) -> None:
        self._engine, self._anchors, self._clock = engine, anchors, clock
        self._key, self._process = key, process
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._anchored, self._lock = 0, threading.Lock()
        self._refused: Counter[str] = Counter()
        self._counter: asyncio.Task[None] | None = None

    async def note(self, entry: Entry) -> None:
        """Store an entry. Raises StateUnavailable when it could not be kept or anchored.

        Entries that are noted while others are written go together, in one transaction.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        # A client that leaves does not take the entry along.
        await asyncio.shield(done)

    def anchor(self, tail: Tail) -> None:
        """Anchor what a change appended in its own transaction.

        Without the storage the next anchor covers it: the change is there and is not undone.
        """
        try:
            self._anchor(tail)
        except StateUnavailable as error:
            log.warning("audit_anchor_missing", seq=tail.seq, error=str(error)[:300])

    def refused(self, reason: str) -> None:
        """Count a refused request; a second's worth becomes one entry: no flood fills the log."""
        self._refused[reason] += 1
        if self._counter is None or self._counter.done():
            self._counter = asyncio.create_task(self._note_refused())

    async def close(self) -> None:
        """Write what waits."""
        if self._counter is not None and not self._counter.done():
            self._counter.cancel()
            with suppress(asyncio.CancelledError):
                await self._counter
        if self._refused:
            await self._write_refused()
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._store, [entry for entry, _ in group])
            except StateUnavailable as error:
                log.warning("audit_unavailable", entries=len(group), error=str(error)[:300])
                for _, done in group:
                    if not done.done():
                        done.set_exception(StateUnavailable("the audit log does not answer"))
            else:
                for _, done in group:
                    if not done.done():
                        done.set_result(None)

    def _store(self, entries: list[Entry]) -> None:
        self._anchor(record(self._engine, entries, now=self._clock.now(), key=self._key))

    def _anchor(self, tail: Tail) -> None:
        with self._lock:
            if tail.seq > self._anchored:
                self._anchors.put(tail, at=self._clock.now(), process=self._process)
                self._anchored = tail.seq

    async def _note_refused(self) -> None:
        await asyncio.sleep(REFUSALS_SECONDS)
        await self._write_refused()

    async def _write_refused(self) -> None:
        counted, self._refused = self._refused, Counter()
        try:
            await self.note(Entry("anonymous", "request.refused", "api", {"reasons": counted}))
        except StateUnavailable:
            self._refused.update(counted)  # told again with the next ones
