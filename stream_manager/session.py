"""One poll: every row is counted before it is parsed, every record ends in exactly one count.

``rows = ignored + rejected + parsed`` and, per dataset,
``records = unchanged + rejected + deferred + accepted``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from emdata.clock import Clock
from emdata.commits import Commit, DatasetCounts, Dead, SeenUpdate
from emdata.contracts.base import Priority, Record, utc_text
from emdata.derive.limits import check_storable
from emdata.envelope import Accepted, Draft
from emdata.errors import BufferUnavailable, EmdataError, PermanentError
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.buffer import BufferWriter
from stream_manager.producers import MAX_MESSAGE_BYTES
from stream_manager.seen import SeenIndex

log = get_logger(__name__)
MAX_PAYLOAD = MAX_MESSAGE_BYTES - 64 * 1024
MAX_DEAD_BYTES = 1 << 20
MAX_DEAD_TOTAL = 64 << 20
MAX_REASON = 4000

# What a record's own methods may raise; each costs that record only.
RECORD_ERRORS = (
    EmdataError,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)


class Interrupted(EmdataError):
    """A poll ended before it was complete, because its stream was stopped."""

    code = "interrupted"


class RecordTooLarge(PermanentError):
    """A record is larger than a Kafka message may be."""

    code = "record_too_large"


@dataclass
class Tally:
    """What a poll counted so far."""

    documents: int = 0
    bytes: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    parsed: int = 0
    raw_documents: list[str] = field(default_factory=list)
    not_modified: bool = False


@dataclass(frozen=True)
class PollContext:
    """What the manager gives a poll.

    admits: whether the buffer has room for a priority. compare: whether unchanged records are
    left out. request_ids: the requests that this poll answers.
    """

    poll_id: str
    stream: str
    source: str
    writer: int
    cursor: dict[str, Any]
    buffer: BufferWriter
    seen: SeenIndex
    admits: Callable[[Priority], bool]
    clock: Clock
    is_simulated: bool
    batch_size: int
    compare: bool = True
    request_ids: tuple[int, ...] = ()


class PollSession:
    """Given to a connector for one poll; belongs to the manager's event loop."""

    def __init__(self, context: PollContext) -> None:
        self.context = context
        self.cursor = context.cursor
        self.tally = Tally()
        self.commit: Commit | None = None
        self._started_at = context.clock.now()
        self._counts: dict[str, DatasetCounts] = {}
        self._pending: list[Draft] = []
        self._overlay: dict[tuple[str, bytes], bytes] = {}
        self._accepted: dict[str, list[SeenUpdate]] = {}
        self._deads: dict[str, Dead] = {}
        self._dead_bytes = 0
        self._writing: asyncio.Future[list[Accepted]] | None = None
        self._committing: Commit | None = None

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
        self._dead(None, raw, error)

    async def row_parsed(self, records: Sequence[Record]) -> list[str]:
        """Count a parsed row and take its records; returns why some of them were rejected.

        Raises BufferUnavailable when a full batch cannot be made durable.
        """
        self.tally.rows += 1
        self.tally.parsed += 1
        reasons = [reason for record in records if (reason := self._take(record)) is not None]
        if len(self._pending) >= self.context.batch_size:
            await self._flush()
        return reasons

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
            await self._flush()
        except BufferUnavailable as unavailable:
            outcome, cursor, error = "failed", None, unavailable
        if any(counts.deferred for counts in self._counts.values()):
            cursor = None
        commit = self._commit(outcome, cursor, is_complete, error)
        if not commit.balances():
            raise AssertionError(
                f"the ledger of poll {self.context.poll_id} does not balance: {commit}"
            )
        wait = 0.5
        while not await self._write(commit):
            await asyncio.sleep(wait)
            wait = min(wait * 2, 10.0)
        return self._end(commit)

    async def interrupt(self) -> None:
        """End a poll that was cancelled: what was accepted counts, the cursor stays.

        Tried once; where the buffer cannot write, the next start of the log does the same.
        """
        if self.commit is not None:
            return
        if self._committing is not None:
            if self._writing is None or await self._is_written(self._committing):
                return
        elif self._writing is not None:
            try:
                self._book(await self._writing)
            except BufferUnavailable as error:
                log.warning("batch_not_durable", stream=self.context.stream, error=str(error))
        # Whatever was taken and is not booked was never acknowledged.
        for counts in self._counts.values():
            booked = counts.unchanged + counts.rejected + counts.deferred + counts.accepted
            counts.deferred += counts.records - booked
        tally = self.tally
        if tally.rows:
            # A poll whose rows did not add up ends here too, and this frame must be storable.
            tally.rows = tally.ignored + tally.rejected + tally.parsed
            commit = self._commit("interrupted", None, False, Interrupted("the poll was stopped"))
            if await self._write(commit):
                self._end(commit)

    async def _is_written(self, commit: Commit) -> bool:
        try:
            if self._writing is not None:
                await self._writing
        except BufferUnavailable:
            return False
        self._end(commit)
        return True

    def _end(self, commit: Commit) -> Commit:
        for dataset, updates in self._accepted.items():
            self.context.seen.update(dataset, updates)
        self.commit = commit
        self._publish(commit)
        return commit

    async def _write(self, commit: Commit) -> bool:
        self._committing = commit
        try:
            await self._append([], commit)
        except BufferUnavailable as error:
            log.warning("commit_not_durable", stream=commit.stream, error=str(error))
            return False
        except BaseException:
            if self._writing is None:
                self._committing = None
            raise
        return True

    async def _append(self, batch: list[Draft], commit: Commit | None = None) -> list[Accepted]:
        """Append, so that a cancelled poll can still find out what became of it."""
        self._writing = asyncio.wrap_future(self.context.buffer.append(batch, commit=commit))
        try:
            accepted = await asyncio.shield(self._writing)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._writing = None
            raise
        self._writing = None
        return accepted

    def _take(self, record: Record) -> str | None:
        dataset = record.dataset
        counts = self._counts.setdefault(dataset.name, DatasetCounts())
        counts.records += 1
        try:
            key_hash, content_hash = record.key_hash(), record.content_hash()
            self._note_event(counts, getattr(record, dataset.event_time))
            if self.context.compare and self._known(dataset.name, key_hash) == content_hash:
                counts.unchanged += 1
                return None
            draft = self._draft(record, key_hash, content_hash)
        except RECORD_ERRORS as error:
            counts.rejected += 1
            self._dead(dataset.name, _bytes_of(record), error)
            return str(error)
        if not self.context.admits(Priority(draft.priority)):
            counts.deferred += 1
            return None
        self._overlay[dataset.name, key_hash] = content_hash
        self._pending.append(draft)
        return None

    def _known(self, dataset: str, key_hash: bytes) -> bytes | None:
        known = self._overlay.get((dataset, key_hash))
        return self.context.seen.content(dataset, key_hash) if known is None else known

    def _draft(self, record: Record, key_hash: bytes, content_hash: bytes) -> Draft:
        check_storable(record)
        payload = record.payload()
        if len(payload) > MAX_PAYLOAD:
            raise RecordTooLarge(f"{len(payload)} bytes; a record may have {MAX_PAYLOAD}")
        return Draft(
            record.dataset.name,
            self.context.source,
            self.context.stream,
            record.dataset.topic,
            self.context.poll_id,
            record.record_key(),
            record.version_text(),
            record.kafka_key(),
            key_hash,
            content_hash,
            int(record.priority()),
            self.context.is_simulated,
            payload,
        )

    async def _flush(self) -> None:
        drafts, self._pending = self._pending, []
        for start in range(0, len(drafts), self.context.batch_size):
            batch = drafts[start : start + self.context.batch_size]
            try:
                accepted = await self._append(batch)
            except BufferUnavailable:
                # Nothing of these was acknowledged, so the poll never had them.
                self._forget(drafts[start:])
                raise
            self._book(accepted)

    def _book(self, records: list[Accepted]) -> None:
        for record in records:
            counts = self._counts[record.dataset]
            counts.accepted += 1
            counts.first_seq = record.seq if counts.first_seq is None else counts.first_seq
            counts.last_seq = record.seq
            self._accepted.setdefault(record.dataset, []).append(
                SeenUpdate(record.key_hash, record.content_hash, record.record_version, record.seq)
            )

    def _forget(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            self._counts[draft.dataset].deferred += 1
            self._overlay.pop((draft.dataset, draft.key_hash), None)

    def _note_event(self, counts: DatasetCounts, value: Any) -> None:
        if isinstance(value, datetime):
            at = value
        elif isinstance(value, date):
            at = datetime(value.year, value.month, value.day, tzinfo=UTC)
        else:
            return
        # Sources send stamps that lie ahead; "newest" must not be a promise about tomorrow.
        text = utc_text(min(at, self._started_at + timedelta(days=1)))
        if counts.newest_event_at is None or text > counts.newest_event_at:
            counts.newest_event_at = text

    def _dead(self, dataset: str | None, payload: bytes, error: Exception) -> None:
        cause = error.code if isinstance(error, EmdataError) else type(error).__name__
        digest = hashlib.sha256(f"{self.context.stream}|{dataset}|{cause}|".encode() + payload)
        identity = digest.hexdigest()[:32]
        before = self._deads.get(identity)
        kept = payload[:MAX_DEAD_BYTES] if self._dead_bytes < MAX_DEAD_TOTAL else payload[:1024]
        self._dead_bytes += 0 if before is not None else len(kept)
        self._deads[identity] = Dead(
            identity,
            self.context.stream,
            dataset,
            None,
            self.context.poll_id,
            cause,
            str(error)[:MAX_REASON],
            kept if before is None else before.payload,
            1 if before is None else before.occurrences + 1,
            utc_text(self.context.clock.now()),
        )

    def _commit(
        self,
        outcome: str,
        cursor: dict[str, Any] | None,
        is_complete: bool,
        error: Exception | None,
    ) -> Commit:
        tally = self.tally
        return Commit(
            poll_id=self.context.poll_id,
            writer=self.context.writer,
            stream=self.context.stream,
            source=self.context.source,
            started_at=utc_text(self._started_at),
            finished_at=utc_text(self.context.clock.now()),
            outcome=outcome,
            error_class=None if error is None else getattr(error, "code", type(error).__name__),
            error=None if error is None else str(error)[:MAX_REASON],
            is_complete=is_complete,
            documents=tally.documents,
            bytes=tally.bytes,
            rows=tally.rows,
            rows_ignored=tally.ignored,
            rows_rejected=tally.rejected,
            rows_parsed=tally.parsed,
            raw_documents=tally.raw_documents,
            cursor=cursor,
            datasets=self._counts,
            seen=self._accepted,
            deads=list(self._deads.values()),
            # Who asked for an interrupted poll still waits for one that is not.
            request_ids=[] if outcome == "interrupted" else list(self.context.request_ids),
        )

    def _publish(self, commit: Commit) -> None:
        metrics.POLLS.labels(self.context.stream, commit.outcome).inc()
        for result in ("ignored", "rejected", "parsed"):
            metrics.ROWS.labels(self.context.stream, result).inc(getattr(commit, f"rows_{result}"))
        for dataset, counts in commit.datasets.items():
            for result in ("unchanged", "rejected", "deferred", "accepted"):
                metrics.RECORDS.labels(dataset, result).inc(getattr(counts, result))


def _bytes_of(record: Record) -> bytes:
    try:
        return record.payload()
    except RECORD_ERRORS:
        return repr(record).encode("utf-8", "backslashreplace")
