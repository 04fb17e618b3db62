"""The log: numbered segment files in one directory, one writer at a time.

``BufferWriter`` owns appends; delivery and the applier confirm from threads of their own.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from emdata.commits import Commit, Dead
from emdata.errors import BufferUnavailable, ServiceError
from emdata.telemetry import get_logger
from stream_manager.buffer.acks import append_acks
from stream_manager.buffer.blocks import (
    Block,
    BlockHead,
    Columns,
    Drafts,
    LateCommit,
    Place,
    Run,
    number,
    runs_of,
)
from stream_manager.buffer.disk import Disk, OsDisk
from stream_manager.buffer.frames import (
    Batch,
    Header,
    StoredCommit,
    encode_batch,
    encode_header,
)
from stream_manager.buffer.reader import BlockReader
from stream_manager.buffer.recovery import (
    RecoveredSegment,
    ack_path,
    recover,
    segment_path,
)
from stream_manager.buffer.segments import Segment, Segments

log = get_logger(__name__)


@dataclass(frozen=True)
class Recovery:
    """What was found when the log was opened.

    runs: what Kafka has not confirmed, in log order. commits and deads are in log order with their
    segments. interrupted holds the blocks of polls without a COMMIT, by poll id. Byte counts name
    what was damaged.
    """

    runs: list[Run]
    commits: list[tuple[int, StoredCommit]]
    deads: list[tuple[int, Dead]]
    interrupted: dict[str, list[Block]]
    torn_bytes: int
    quarantined_bytes: int
    missing_segments: list[int]


@dataclass(frozen=True)
class Appended:
    """A durable batch: blocks and COMMITs in order, the runs that wait for Kafka, its segment."""

    blocks: list[Block]
    commits: list[Commit]
    runs: list[Run]
    segment: int


class BufferLog:
    """Append, confirm, remove. ``open`` recovers what an earlier process left.

    fence: called between the fsync of a batch and its acknowledgement; it raises BufferUnavailable
    once another manager has taken the log over. Without one, a flock keeps others away.
    """

    def __init__(
        self,
        directory: Path,
        *,
        writer: int,
        segment_bytes: int,
        memory_bytes: int = 64 << 20,
        disk: Disk | None = None,
        fence: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self.writer = writer
        self.seqs: dict[str, int] = {}
        self.epoch = 0
        self.segments = Segments()
        self._durable_seqs: dict[str, int] = {}
        self._segment_bytes = segment_bytes
        self._memory_bytes = memory_bytes
        self._disk: Disk = disk or OsDisk()
        self._fence = fence
        self._appending = threading.Lock()
        self._fd = -1
        self._lock_fd = -1
        self._reader = BlockReader(directory, writer, self._disk)

    def open(self, at_of: Callable[[str], float] = lambda _: 0.0) -> Recovery:
        """Lock the directory, recover, and start a new segment.

        at_of: the monotonic second that belongs to the text of an acceptance.
        Raises ServiceError when another process has the directory, BufferUnavailable when the
        first segment cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._fence is None:
            self._take_lock()
        recovered = recover(
            self.directory,
            self._disk,
            writer=self.writer,
            memory_bytes=self._memory_bytes,
            at_of=at_of,
        )
        self.epoch = recovered.epoch + 1
        self.seqs = dict(recovered.seqs)
        self._durable_seqs = dict(recovered.seqs)
        for segment in recovered.segments:
            self.segments.add(_adopted(segment))
        self._start_segment(recovered.last_number + 1)
        return Recovery(
            runs=[run for s in recovered.segments for run in s.undelivered],
            commits=[(s.number, commit) for s in recovered.segments for commit in s.commits],
            deads=[(s.number, dead) for s in recovered.segments for dead in s.deads],
            interrupted=recovered.interrupted,
            torn_bytes=recovered.torn_bytes,
            quarantined_bytes=recovered.quarantined_bytes,
            missing_segments=recovered.missing,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the files and the lock; everything acknowledged is already durable."""
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    def append(
        self,
        drafts: list[Drafts],
        commits: Sequence[Commit | LateCommit],
        deads: list[Dead],
        *,
        accepted_at: str,
        at: float = 0.0,
    ) -> Appended:
        """Number, write and fsync one batch. at: the monotonic second of ``accepted_at``.

        Raises BufferUnavailable when the batch is not durable: then nothing of it is acknowledged,
        the numbers are given back, and the next append goes to a new segment.
        """
        columns = [one.columns for one in drafts]
        with self._appending:
            before = dict(self.seqs)
            try:
                heads = [self._number(one, accepted_at) for one in drafts]
                made = [_made(commit, heads) for commit in commits]
                segment, offset, size = self._write(heads, columns, made, deads)
            except BaseException:
                self.seqs = before
                raise
            base, count = segment.records, sum(map(len, heads))
            self.segments.booked(
                segment,
                size=size,
                records=count,
                frames=len(commits) + len(deads),
                polls={head.poll_id for head in heads},
            )
            self._durable_seqs = dict(self.seqs)
        blocks = [Block(self.writer, *pair) for pair in zip(heads, columns, strict=True)]
        runs: list[Run] = []
        for index, block in enumerate(blocks):
            runs += runs_of(
                Place(segment.number, offset, index, base),
                block.head,
                range(len(block)),
                at=at,
                size=size * len(block) // count,
                block=block,
            )
            base += len(block)
        return Appended(blocks, made, runs, segment.number)

    def _write(
        self,
        heads: list[BlockHead],
        columns: Sequence[Columns],
        commits: list[Commit],
        deads: list[Dead],
    ) -> tuple[Segment, int, int]:
        """Make one frame durable; returns its segment, its offset and its size."""
        segment = self._current()
        data = encode_batch(Batch(segment.records, heads, commits, deads, columns))
        writable = self._writable(len(data))
        if writable is not segment:
            segment = writable
            data = encode_batch(Batch(segment.records, heads, commits, deads, columns))
        try:
            self._disk.append(self._fd, data)
            self._disk.sync(self._fd)
            if self._fence is not None:
                self._fence()
        except OSError as error:
            self._abandon()
            raise BufferUnavailable(f"buffer {self.directory}: {error}") from error
        except BufferUnavailable:
            self._abandon()
            raise
        return segment, segment.size, len(data)

    def load(self, run: Run) -> Block:
        """Return a run's block, from memory or from its segment.

        Raises BufferUnavailable when the segment cannot be read or its frame is damaged.
        """
        if run.block is not None:
            return run.block
        place = run.place
        return self._reader.block(place.segment, place.offset, place.index)

    def delivered(self, runs: Iterable[Run]) -> None:
        """Confirm that Kafka has these records."""
        by_segment: dict[int, list[Run]] = {}
        for run in runs:
            by_segment.setdefault(run.place.segment, []).append(run)
        for segment, some in by_segment.items():
            try:
                confirmed = [pair for run in some for pair in run.ranges()]
                append_acks(ack_path(self.directory, segment), confirmed)
            except OSError as error:
                # Without its entry a record is sent again after a restart; keys make that harmless.
                log.warning("buffer_ack_not_written", segment=segment, error=str(error))
            self.segments.delivered(segment, sum(map(len, some)))
        self._remove_done()

    def applied(self, segment: int, *, poll_id: str | None) -> None:
        """Confirm that PostgreSQL has one COMMIT (``poll_id``) or dead letter of a segment."""
        self.segments.applied(segment, poll_id=poll_id)
        self._remove_done()

    @property
    def current_segment(self) -> int:
        """The number of the segment that took the last append."""
        return self._current().number

    def seqs_durable(self) -> dict[str, int]:
        """Return the highest durable sequence number per dataset."""
        return dict(self._durable_seqs)  # replaced as a whole by appends, never changed in place

    def size_bytes(self) -> int:
        """Return the bytes of all segments."""
        return self.segments.size_bytes()

    def free_bytes(self) -> int:
        """Return the free bytes of the disk below the buffer."""
        return self._disk.free_bytes(self.directory)

    def segment_count(self) -> int:
        """Return the number of segment files."""
        return len(self.segments)

    def raise_seqs(self, known: dict[str, int]) -> None:
        """Continue numbering above what PostgreSQL knows, should segments be missing.

        The raised numbers are made durable in the header of a new segment: in memory alone, the
        next start would forget them and give a number twice, which replaces a record that landed.
        Raises BufferUnavailable when that header cannot be written; then nothing was raised.
        """
        with self._appending:
            raised = {name: seq for name, seq in known.items() if seq > self.seqs.get(name, 0)}
            if not raised:
                return
            before = self.seqs, self._durable_seqs
            self.seqs = {**self.seqs, **raised}
            self._durable_seqs = {**self._durable_seqs, **raised}
            try:
                self._start_segment(self._current().number + 1)
            except BufferUnavailable:
                self.seqs, self._durable_seqs = before
                raise
            log.warning("buffer_seqs_raised", log=before[0], state=raised)

    def _take_lock(self) -> None:
        self._lock_fd = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise ServiceError(
                f"buffer {self.directory} is in use by another stream manager; "
                "stop it, or give this one another EMDATA_WRITER"
            ) from None

    def _number(self, drafts: Drafts, accepted_at: str) -> BlockHead:
        first = self.seqs.get(drafts.dataset, 0) + 1
        self.seqs[drafts.dataset] = first + len(drafts) - 1
        return number(drafts, first_seq=first, accepted_at=accepted_at)

    def _current(self) -> Segment:
        segment = self.segments.last()
        if segment is None:
            raise BufferUnavailable(f"buffer {self.directory} is not open")
        return segment

    def _writable(self, size: int) -> Segment:
        current = self._current()
        if self._fd >= 0 and (current.size + size <= self._segment_bytes or current.is_fresh):
            return current
        self._start_segment(current.number + 1)
        return self._current()

    def _start_segment(self, new: int) -> None:
        previous = self.segments.last()
        # A segment that failed may hold bytes nobody was promised; recovery must not read them.
        cut = (previous.number, previous.size) if previous and self._fd < 0 else None
        header = encode_header(Header(self.writer, self.epoch, new, self._durable_seqs, cut))
        fd = self._create(new, header)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self.segments.add(Segment(new, len(header), cut=cut[0] if cut else None))
        self._remove_done()

    def _create(self, new: int, header: bytes | bytearray) -> int:
        path, fd = segment_path(self.directory, new), -1
        try:
            self._disk.remove(path)
            self._disk.remove(ack_path(self.directory, new))
            fd = self._disk.create(path)
            self._disk.append(fd, header)
            self._disk.sync(fd)
            self._disk.sync_directory(self.directory)
            if self._fence is not None:
                self._fence()
        except BufferUnavailable:
            os.close(fd)
            raise
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise BufferUnavailable(f"buffer {path}: {error}") from error
        return fd

    def _abandon(self) -> None:
        """Stop using the current segment: after a failed fsync its pages are anybody's guess."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _remove_done(self) -> None:
        for done in self.segments.take_done():
            try:
                self._disk.remove(segment_path(self.directory, done))
                self._disk.remove(ack_path(self.directory, done))
            except OSError as error:
                # All of it is confirmed; the next start finds that and removes it.
                log.warning("buffer_segment_not_removed", segment=done, error=str(error))


def _made(commit: Commit | LateCommit, heads: list[BlockHead]) -> Commit:
    if isinstance(commit, LateCommit):
        return commit.make(heads[commit.first : commit.end])
    return commit


def _adopted(found: RecoveredSegment) -> Segment:
    return Segment(
        number=found.number,
        size=found.size,
        is_closed=True,
        records=found.records,
        undelivered=sum(map(len, found.undelivered)),
        unapplied=len(found.commits) + len(found.deads),
        open_polls=set(found.polls),
    )
