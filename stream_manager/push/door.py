"""The door for push connectors: a batch is durable, or it is not acknowledged to its sender.

Each batch is fsynced before ``take`` returns. Its counts follow in a COMMIT, about one a second,
because PostgreSQL indexes each alone; what a killed process left without one is counted by the
next start from the records themselves. A batch with dead letters has its COMMIT at once: a letter
is durable with it only. What a sender repeats (a redelivery, a retained
message at every reconnect) is told from news by key and content: first against the newest keys in
memory, then, for messages that their protocol marks as repeated, against PostgreSQL. The whole
past is not kept in memory, because a push stream has no end.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from emdata.commits import Commit
from emdata.contracts.base import Record
from emdata.contracts.identity import short_hash
from emdata.errors import EmdataError, StateUnavailable
from emdata.state.reads import load_contents
from emdata.telemetry import get_logger
from stream_manager.polls.poll import RECORD_ERRORS
from stream_manager.polls.session import PollSession

log = get_logger(__name__)
RETRY_FIRST, RETRY_LONGEST = 0.5, 10.0
KEYS_IN_MEMORY = 100_000
COMMIT_SECONDS, COMMIT_RECORDS = 1.0, 10_000
CLOSE_SECONDS = 1.0
WHOLE = 1 << 30  # records of an append: a batch is durable as a whole or not at all

_Place = tuple[str, bytes]  # dataset and key hash
_Identity = tuple[_Place, bytes]  # with the content hash


@dataclass(frozen=True, slots=True)
class PushItem:
    """One message: its bytes, and the records in it or why it has none.

    is_repeat_likely: its protocol says that it may have been sent before.
    """

    raw: bytes
    records: Sequence[Record] = ()
    error: Exception | None = None
    is_repeat_likely: bool = False


class RecentKeys:
    """Content by (dataset, key) of what was accepted last; forgets the oldest."""

    def __init__(self, size: int = KEYS_IN_MEMORY) -> None:
        self._size = size
        self._contents: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    def get(self, dataset: str, key_hash: bytes) -> bytes | None:
        """Return the content hash, or None when it is not remembered."""
        return self._contents.get((dataset, key_hash))

    def put(self, dataset: str, key_hash: bytes, content_hash: bytes) -> None:
        """Remember a key's content."""
        self._contents[dataset, key_hash] = content_hash
        self._contents.move_to_end((dataset, key_hash))
        if len(self._contents) > self._size:
            self._contents.popitem(last=False)


class PushDoor:
    """Given to a push connector; belongs to the manager's event loop.

    new_session makes a session with so many records an append; note tells the manager how a poll
    ended. ``close`` it at the end.
    """

    def __init__(
        self,
        stream: str,
        engine: Engine,
        *,
        new_session: Callable[[int], PollSession],
        note: Callable[[Commit], None],
        heartbeat_seconds: float = 60.0,
    ) -> None:
        self.stream, self._engine = stream, engine
        self._new_session, self._note = new_session, note
        self.heartbeat_seconds = heartbeat_seconds
        self._recent = RecentKeys()
        self._turn = asyncio.Lock()
        self._session: PollSession | None = None
        self._committing: asyncio.Task[None] | None = None

    async def take(self, items: Sequence[PushItem]) -> int:
        """Return, when every item is durable, how many records were new.

        What the buffer refuses is offered again until it is taken: the caller acknowledges
        nothing meanwhile, so that its sender keeps the messages and waits.
        """
        wait, accepted = RETRY_FIRST, 0
        known = [[_identity(record) for record in item.records] for item in items]
        todo = await self._without_repeats(items, known)
        while True:
            async with self._turn:
                new, is_done = await self._attempt(todo)
            accepted += new
            if is_done:
                break
            log.warning("push_batch_deferred", stream=self.stream, retry_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY_LONGEST)
            # Rejected rows are dead letters by now; what has records was not all taken.
            todo = [item for item in todo if item.records]
        for identities in known:
            for identity in identities:
                if identity is not None:
                    (dataset, key_hash), content = identity
                    self._recent.put(dataset, key_hash, content)
        return accepted

    async def beat(self) -> None:
        """Say that the sender is connected and silent: quiet is not broken."""
        async with self._turn:
            await self._end("ok")

    async def failed(self, error: EmdataError) -> None:
        """Say that the sender cannot be reached; what it sent before is counted on its own."""
        async with self._turn:
            if self._session is not None:
                await self._end("ok")
            await self._end("failed", error)

    async def close(self) -> None:
        """Write the COMMIT of what was taken; tried for a second, as the next start can do it."""
        if self._committing is not None:
            self._committing.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS), self._turn:
                if self._session is not None:
                    await self._end("ok")
        except TimeoutError:
            log.warning("push_commit_left_to_the_next_start", stream=self.stream)

    async def _attempt(self, items: Sequence[PushItem]) -> tuple[int, bool]:
        """Return how many records became durable, and whether that was all that was asked."""
        session = self._open()
        before = session.total()
        rejected = session.tally.rejected
        try:
            await self._give(session, items)
        except EmdataError as error:
            commit = await self._end("failed", error)
            accepted = sum(counts.accepted for counts in commit.datasets.values())
            return accepted - before.accepted, False
        except BaseException:
            await self._interrupt(session)
            raise
        after = session.total()
        is_deferred = after.deferred > before.deferred
        if (
            is_deferred
            or session.tally.rejected > rejected
            or after.rejected > before.rejected
            or after.accepted >= COMMIT_RECORDS
        ):
            await self._end("ok")
        return after.accepted - before.accepted, not is_deferred

    async def _give(self, session: PollSession, items: Sequence[PushItem]) -> None:
        session.document(sum(len(item.raw) for item in items))
        for item in items:
            if item.error is not None:
                session.row_rejected(item.raw, item.error)
            elif item.records:
                await session.row_parsed(item.records)
            else:
                session.row_ignored()
        await session.flush()

    def _open(self) -> PollSession:
        """Return the session at hand; a new one gets its COMMIT in a second."""
        if self._session is None:
            if self._committing is not None and self._committing.done():
                self._committing.result()  # what went wrong there must not go unheard
                self._committing = None
            self._session = self._new_session(WHOLE)
            if self._committing is None:
                self._committing = asyncio.create_task(self._commit_later())
        return self._session

    async def _commit_later(self) -> None:
        await asyncio.sleep(COMMIT_SECONDS)
        async with self._turn:
            if self._session is not None:
                await self._end("ok")

    async def _end(self, outcome: str, error: EmdataError | None = None) -> Commit:
        """End the session at hand, or an empty one."""
        session = self._session or self._new_session(1)
        try:
            commit = await session.finish(outcome, error=error)
        except BaseException:
            await self._interrupt(session)
            raise
        self._session = None
        self._note(commit)
        return commit

    async def _interrupt(self, session: PollSession) -> None:
        self._session = None
        await session.interrupt()

    async def _without_repeats(
        self, items: Sequence[PushItem], known: Sequence[Sequence[_Identity | None]]
    ) -> list[PushItem]:
        stored = await self._stored(items, known)
        batch: dict[_Place, bytes] = {}
        kept = []
        for item, identities in zip(items, known, strict=True):
            fresh = []
            for record, identity in zip(item.records, identities, strict=True):
                if identity is not None:
                    place, content = identity
                    before = batch.get(place) or self._recent.get(*place) or stored.get(place)
                    batch[place] = content
                    if before == content:
                        continue
                fresh.append(record)
            kept.append(PushItem(item.raw, fresh, item.error))
        return kept

    async def _stored(
        self, items: Sequence[PushItem], known: Sequence[Sequence[_Identity | None]]
    ) -> dict[_Place, bytes]:
        """Return what PostgreSQL knows of the records that are likely repeats."""
        asked: dict[str, set[bytes]] = {}
        for item, identities in zip(items, known, strict=True):
            for identity in identities if item.is_repeat_likely else ():
                if identity is not None and self._recent.get(*identity[0]) is None:
                    dataset, key_hash = identity[0]
                    asked.setdefault(dataset, set()).add(key_hash)
        found: dict[_Place, bytes] = {}
        for dataset, hashes in asked.items():
            try:
                contents = await asyncio.to_thread(load_contents, self._engine, dataset, hashes)
            except StateUnavailable as error:
                # A record twice is harmless, its key makes them one; a lost one is not.
                log.warning("push_repeats_not_compared", stream=self.stream, error=str(error)[:200])
                continue
            found.update({(dataset, key): content for key, content in contents.items()})
        return found


def _identity(record: Record) -> _Identity | None:
    """Return where a record's content is remembered, and its hash; None when it has neither.

    The session says what is wrong with such a record.
    """
    try:
        made = record.encoded()
        return (record.dataset.name, short_hash(made.key.encode())), made.content_hash
    except RECORD_ERRORS:
        return None
