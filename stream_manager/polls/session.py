"""One poll: every row is counted before it is parsed, every record ends in exactly one count.

``rows = ignored + rejected + parsed`` and, per dataset,
``records = unchanged + rejected + deferred + accepted``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from emdata.commits import Commit, DatasetCounts, SeenUpdate
from emdata.contracts.base import Priority, Record, RecordEncoder, json_decoder
from emdata.contracts.identity import short_hash
from emdata.derive.limits import check_identity, check_values
from emdata.derive.rows import RowEncoder
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager.buffer import Block, Drafts
from stream_manager.buffer.blocks import BlockHead, seen_updates
from stream_manager.polls.ending import End, commit_of, count_poll, is_encodable, sum_of
from stream_manager.polls.poll import (
    MAX_PAYLOAD,
    RECORD_ERRORS,
    Interrupted,
    PollContext,
    RecordTooLarge,
    Tally,
)
from stream_manager.polls.prepared import Keys, Pending, PreparedBatch, with_head
from stream_manager.polls.rejected import DeadRows, bytes_of

log = get_logger(__name__)


class PollSession:
    """Given to a connector for one poll; belongs to the manager's event loop."""

    def __init__(self, context: PollContext) -> None:
        self.context = context
        self.cursor = context.cursor
        self.tally = Tally()
        self.commit: Commit | None = None
        self._started_at = context.clock.now()
        self._decide = context.decide
        self._pending: dict[str, Pending] = {}
        self._waiting = 0
        self._room: list[bool | None] = [None] * len(Priority)
        self._accepted: dict[str, list[SeenUpdate]] = {}
        self._dead = DeadRows(context)
        self._batch: list[Drafts] = []
        self._writing: asyncio.Future[list[Block]] | None = None
        self._committing: list[Commit] | None = None

    def document(self, size: int, raw_document: str | None = None) -> None:
        """Count one document of the source; ``raw_document`` names its kept bytes."""
        self.tally.documents += 1
        self.tally.bytes += size
        if raw_document is not None:
            self.tally.raw_documents.append(raw_document)

    def not_modified(self) -> None:
        """Note that the source answered that nothing changed."""
        self.tally.not_modified = True

    def row_ignored(self) -> None:
        """Count a row that is of no interest by rule."""
        self.tally.rows += 1
        self.tally.ignored += 1

    def row_rejected(self, raw: bytes, error: Exception) -> None:
        """Count a row that cannot be parsed; its bytes go to the dead letters."""
        self.tally.rows += 1
        self.tally.rejected += 1
        self._dead.add(None, raw, error)

    async def row_parsed(self, records: Sequence[Record]) -> list[str]:
        """Count a parsed row and take its records; returns why some of them were rejected.

        Raises BufferUnavailable when the batch before could not be made durable.
        """
        self.tally.rows += 1
        self.tally.parsed += 1
        reasons = [
            reason
            for record in records
            if (reason := self._take(record, self._pending_of(type(record)))) is not None
        ]
        if self._waiting >= self.context.batch_size:
            await self._hand_over()
        return reasons

    async def rows_encoded(
        self,
        record: type[Record],
        rows: Sequence[bytes | msgspec.Raw],
        refused: list[tuple[int, str]] | None = None,
    ) -> None:
        """Take rows that are a contract's fields as JSON.

        refused: gets index and reason of each row that was rejected, also when this raises
        BufferUnavailable because a batch could not be made durable.
        """
        refused = [] if refused is None else refused
        pending = self._pending_of(record)
        read, tally = pending.rows.read, self.tally
        for index, raw in enumerate(rows):
            row = read(raw)
            if row is not None and self._take_row(row, pending):
                tally.rows += 1
                tally.parsed += 1
            else:
                reason = self._take_doubtful(raw, pending)
                if reason is not None:
                    refused.append((index, reason))
            if self._waiting >= self.context.batch_size:
                await self._hand_over()

    def _take_doubtful(self, raw: bytes | msgspec.Raw, pending: Pending) -> str | None:
        """Count a row and take its record; returns why it was rejected."""
        try:
            record = json_decoder(pending.record).decode(raw)
        except RECORD_ERRORS as error:
            self.row_rejected(bytes(raw), error)
            return str(error)
        self.tally.rows += 1
        self.tally.parsed += 1
        return self._take(record, pending)

    async def batch_prepared(self, batch: PreparedBatch) -> None:
        """Count parsed rows, one a record, that come as columns, and take them.

        Raises BufferUnavailable when a batch could not be made durable.
        """
        dataset = batch.record.dataset
        pending = self._pending_of(batch.record)
        if batch.newest_event is not None:
            pending.note_event(batch.newest_event)
        priorities = self.context.decide_prepared(dataset, batch.priorities)
        for index, (key_hash, content_hash) in enumerate(
            zip(batch.key_hashes, batch.content_hashes, strict=True)
        ):
            # One by one: behind a batch that was refused, the poll never had the rest.
            self.tally.rows += 1
            self.tally.parsed += 1
            pending.counts.records += 1
            if pending.is_compared and self._is_known(pending, key_hash, content_hash):
                pending.counts.unchanged += 1
                continue
            if not self._admits(priorities[index]):
                pending.counts.deferred += 1
                continue
            pending.add(
                batch.record_keys[index],
                batch.versions[index],
                batch.kafka_keys[index],
                key_hash,
                content_hash,
                priorities[index],
                batch.payloads[index],
                None,
            )
            self._waiting += 1
            if self._waiting >= self.context.batch_size:
                await self._hand_over()

    async def flush(self) -> None:
        """Return once all that was taken is durable.

        Raises BufferUnavailable when it is not.
        """
        await self._hand_over()
        await self._settle()

    def total(self) -> DatasetCounts:
        """Return the counts so far; what is not durable yet is in ``records`` only."""
        return sum_of(pending.counts for pending in self._pending.values())

    async def finish(
        self,
        outcome: str,
        *,
        cursor: dict[str, Any] | None = None,
        is_complete: bool = False,
        error: Exception | None = None,
    ) -> Commit:
        """Make the rest and the COMMIT frame durable; the cursor moves with it or not at all.

        A cursor is not moved when a record was deferred, because the next poll must see it again.
        While the buffer cannot write, this waits: a poll without its frame would never end.
        """
        try:
            if not is_encodable(cursor):
                await self.flush()  # what is wrong with the cursor must not cost the records
            await self._settle()
            done = await self._end_with_records(outcome, cursor, is_complete, error)
        except BufferUnavailable as unavailable:
            self._forget(self._cut())
            outcome, cursor, error, done = "failed", None, unavailable, None
        if done is not None:
            return done
        self._must_balance([])
        commit = self._commit(outcome, cursor, is_complete, error)
        wait = 0.5
        while not await self._write(commit):
            await asyncio.sleep(wait)
            wait = min(wait * 2, 10.0)
        return self._end(commit)

    async def _end_with_records(
        self,
        outcome: str,
        cursor: dict[str, Any] | None,
        is_complete: bool,
        error: Exception | None,
    ) -> Commit | None:
        """Append the last records and the COMMIT in one frame; None without records.

        Raises BufferUnavailable when it is not durable: then the records are forgotten.
        """
        batch = self._batch = self._cut()
        if not batch:
            return None
        made: list[Commit] = []

        def make(heads: Sequence[BlockHead]) -> Commit:
            made[:] = [self._commit(outcome, cursor, is_complete, error, (heads, batch))]
            return made[0]

        self._must_balance(batch)
        self._committing = made
        self._writing = asyncio.wrap_future(self.context.buffer.append_blocks(batch, commit=make))
        try:
            await self._written()
        except Exception:
            self._committing = None
            raise
        return self._end(made[0])

    def _must_balance(self, batch: list[Drafts]) -> None:
        """Raise AssertionError when a count is wrong; ``batch`` is accepted with the COMMIT."""
        tally, waiting = self.tally, {drafts.dataset: len(drafts) for drafts in batch}
        wrong = [
            (name, pending.counts)
            for name, pending in self._pending.items()
            if not pending.balances(waiting.get(name, 0))
        ]
        if wrong or tally.rows != tally.ignored + tally.rejected + tally.parsed:
            raise AssertionError(
                f"the ledger of poll {self.context.poll_id} does not balance: {tally} {wrong}"
            )

    async def interrupt(self) -> None:
        """End a poll that was cancelled: what was accepted counts, the cursor stays.

        Tried once; where the buffer cannot write, the next start of the log does the same.
        """
        if self.commit is not None:
            return
        if self._committing is not None:
            if self._writing is None or await self._is_written(self._committing):
                return
            self._committing = None
        elif self._writing is not None:
            try:
                await self._settle()
            except BufferUnavailable as error:
                log.warning("batch_not_durable", stream=self.context.stream, error=str(error))
        # Whatever was taken and is not booked was never acknowledged.
        for pending in self._pending.values():
            pending.counts.deferred += pending.counts.records - pending.counts.counted()
        tally = self.tally
        if tally.rows:
            # A poll whose rows did not add up ends here too, and this frame must be storable.
            tally.rows = tally.ignored + tally.rejected + tally.parsed
            commit = self._commit("interrupted", None, False, Interrupted("the poll was stopped"))
            if await self._write(commit):
                self._end(commit)

    async def _is_written(self, made: list[Commit]) -> bool:
        try:
            await self._written()
        except BufferUnavailable:
            return False
        self._end(made[0])
        return True

    def _end(self, commit: Commit) -> Commit:
        for dataset, updates in commit.seen.items():
            self.context.seen.update(dataset, updates)
        self.commit = commit
        count_poll(commit)
        return commit

    async def _write(self, commit: Commit) -> bool:
        """Append the COMMIT, so that a cancelled poll can still find out what became of it."""
        self._committing, self._batch = [commit], []
        self._writing = asyncio.wrap_future(self.context.buffer.append_blocks([], commit=commit))
        try:
            await self._written()
        except BufferUnavailable as error:
            log.warning("commit_not_durable", stream=commit.stream, error=str(error))
            return False
        except Exception:
            self._committing = None
            raise
        return True

    def _take(self, record: Record, pending: Pending) -> str | None:
        """Take a record; returns why it was rejected."""
        try:
            self._admit(record, pending, pending.records)
        except RECORD_ERRORS as error:
            pending.counts.records += 1
            pending.counts.rejected += 1
            self._dead.add(pending.dataset.name, bytes_of(record), error)
            return str(error)
        return None

    def _take_row(self, row: Record, pending: Pending) -> bool:
        """Take a row that stands for a record; False when only the record says what is wrong."""
        try:
            self._admit(row, pending, pending.rows)
        except RECORD_ERRORS:
            return False
        return True

    def _admit(self, record: Record, pending: Pending, encoder: RecordEncoder | RowEncoder) -> None:
        """Count a record and take it unless it is known; whatever this raises, nothing is counted.

        Raises one of RECORD_ERRORS for a record that cannot be stored.
        """
        key, version, content_hash, event = encoder.encode(record)
        payload, counts = encoder.payload, pending.counts
        if event is not None:
            pending.note_event(event)
        key_hash = short_hash(key.encode()) if pending.is_hashed else b""
        if pending.is_compared and self._is_known(pending, key_hash, content_hash):
            counts.records += 1
            counts.unchanged += 1
            return
        if len(payload) > MAX_PAYLOAD:
            raise RecordTooLarge(f"{len(payload)} bytes; a record may have {MAX_PAYLOAD}")
        if encoder is pending.records:
            check_values(record, pending.records.values, len(payload))
        check_identity(pending.dataset.name, key, version)
        kafka_key = key if pending.is_keyed_alike else record.kafka_key()
        region = record.region_code() if pending.is_regional else None
        priority = self._decide(record)  # last, for it counts
        counts.records += 1
        if not (self._room[priority] or self._admits(priority)):
            counts.deferred += 1
            return
        pending.add(key, version, kafka_key, key_hash, content_hash, priority, payload, region)
        self._waiting += 1

    def _pending_of(self, record: type[Record]) -> Pending:
        pending = self._pending.get(record.dataset.name)
        if pending is None:
            pending = self._pending[record.dataset.name] = Pending(self.context, record)
        return pending

    def _is_known(self, pending: Pending, key_hash: bytes, content_hash: bytes) -> bool:
        known = pending.taken.get(key_hash)
        if known is None:
            known = self.context.seen.content(pending.dataset.name, key_hash)
        return known == content_hash

    def _admits(self, priority: int) -> bool:
        """Whether there is room, asked once a batch and priority."""
        room = self._room[priority]
        if room is None:
            room = self.context.admits(Priority(priority), self.context.tenant)
            self._room[priority] = room
        return room

    async def _hand_over(self) -> None:
        """Hand over what was taken; it becomes durable while the next rows are parsed.

        Raises BufferUnavailable when the batch before is not durable.
        """
        try:
            await self._settle()
        except BufferUnavailable:
            self._forget(self._cut())
            raise
        self._batch = self._cut()
        if self._batch:
            self._writing = asyncio.wrap_future(self.context.buffer.append_blocks(self._batch))

    def _cut(self) -> list[Drafts]:
        self._waiting = 0
        self._room[:] = [None] * len(Priority)
        return [pending.cut() for pending in self._pending.values() if len(pending)]

    async def _settle(self) -> None:
        """Wait for the batch under way and book it."""
        for block in await self._written():
            pending = self._pending[block.head.dataset]
            pending.counts = with_head(pending.counts, block.head)
            if self.context.keys is not Keys.FORGOTTEN:
                self._accepted.setdefault(block.head.dataset, []).extend(block.seen_updates())

    async def _written(self) -> list[Block]:
        """Wait for what is being appended; what is refused is forgotten, as it never was there."""
        if self._writing is None:
            return []
        try:
            blocks = await asyncio.shield(self._writing)
        except Exception:
            self._writing = None
            self._forget(self._batch)
            raise
        self._writing = None
        return blocks

    def _forget(self, batch: list[Drafts]) -> None:
        # Nothing of these was acknowledged, so the poll never had them.
        for drafts in batch:
            self._pending[drafts.dataset].forget(drafts)

    def _commit(
        self,
        outcome: str,
        cursor: dict[str, Any] | None,
        is_complete: bool,
        error: Exception | None,
        last: tuple[Sequence[BlockHead], Sequence[Drafts]] | None = None,
    ) -> Commit:
        """Return the COMMIT; ``last``: records that travel with it and are not booked yet."""
        datasets = {
            name: pending.final(self._started_at) for name, pending in self._pending.items()
        }
        seen = dict(self._accepted)
        for head, drafts in zip(*last, strict=True) if last is not None else ():
            datasets[head.dataset] = with_head(datasets[head.dataset], head)
            if self.context.keys is not Keys.FORGOTTEN:
                updates = seen_updates(drafts.columns, head.first_seq)
                seen[head.dataset] = [*seen.get(head.dataset, ()), *updates]
        return commit_of(
            self.context,
            self.tally,
            self._started_at,
            End(outcome, cursor, is_complete, error),
            datasets=datasets,
            seen=seen,
            deads=self._dead.letters(),
        )
