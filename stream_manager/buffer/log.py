"""The log: numbered segment files in one directory, one writer at a time.

Not thread-safe by itself: ``BufferWriter`` owns appends, and a lock guards the bookkeeping that
delivery and the applier touch.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from emdata.commits import Commit, Dead
from emdata.envelope import Accepted, Draft
from emdata.errors import BufferUnavailable, ServiceError
from emdata.telemetry import get_logger
from stream_manager.buffer.acks import append_acks
from stream_manager.buffer.disk import Disk, OsDisk
from stream_manager.buffer.frames import (
    PREFIX_SIZE,
    Batch,
    Entry,
    Header,
    decode_batch,
    encode_batch,
    encode_header,
    frame_at,
    frame_size,
)
from stream_manager.buffer.recovery import (
    RecoveredSegment,
    ack_path,
    recover,
    segment_path,
)

log = get_logger(__name__)


@dataclass
class Segment:
    """Bookkeeping of one segment: what must happen before it may be removed.

    cut: the older segment whose refused tail is named in this one's header. is_fresh: it holds
    no batch yet, so that a batch larger than a segment still finds room.
    """

    number: int
    size: int
    is_closed: bool = False
    records: int = 0
    undelivered: int = 0
    unapplied: int = 0
    open_polls: set[str] = field(default_factory=set)
    cut: int | None = None
    is_fresh: bool = True

    @property
    def is_done(self) -> bool:
        """Whether nothing in it is needed any more."""
        done = self.undelivered == 0 and self.unapplied == 0 and not self.open_polls
        return self.is_closed and done


@dataclass(frozen=True)
class Recovery:
    """What was found when the log was opened.

    commits and deads are in log order with their segments. interrupted holds the records of polls
    without a COMMIT, by poll id. Byte counts name what was damaged.
    """

    entries: list[Entry]
    commits: list[tuple[int, Commit]]
    deads: list[tuple[int, Dead]]
    interrupted: dict[str, list[Accepted]]
    torn_bytes: int
    quarantined_bytes: int
    missing_segments: list[int]


class BufferLog:
    """Append, confirm, remove. ``open`` recovers what an earlier process left."""

    def __init__(
        self,
        directory: Path,
        *,
        writer: int,
        segment_bytes: int,
        memory_bytes: int = 64 << 20,
        disk: Disk | None = None,
    ) -> None:
        self.directory = directory
        self.writer = writer
        self.seqs: dict[str, int] = {}
        self.epoch = 0
        self._durable_seqs: dict[str, int] = {}
        self._segment_bytes = segment_bytes
        self._memory_bytes = memory_bytes
        self._disk: Disk = disk or OsDisk()
        self._segments: dict[int, Segment] = {}
        self._guard = threading.Lock()
        self._appending = threading.Lock()
        self._fd = -1
        self._lock_fd = -1
        self._cached: tuple[int, int, Batch] | None = None

    def open(self) -> Recovery:
        """Lock the directory, recover, and start a new segment.

        Raises ServiceError when another process has the directory, BufferUnavailable when the
        first segment cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        recovered = recover(self.directory, self._disk, memory_bytes=self._memory_bytes)
        self.epoch = recovered.epoch + 1
        self.seqs = dict(recovered.seqs)
        self._durable_seqs = dict(recovered.seqs)
        for segment in recovered.segments:
            self._adopt(segment)
        self._start_segment(max(self._segments, default=recovered.last_number) + 1)
        return Recovery(
            entries=[entry for s in recovered.segments for entry in s.undelivered],
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
        drafts: list[Draft],
        commits: list[Commit],
        deads: list[Dead],
        *,
        accepted_at: str,
    ) -> list[Entry]:
        """Number, write and fsync one batch; returns the records' places in order.

        Raises BufferUnavailable when the batch is not durable: then nothing of it is acknowledged,
        the numbers are given back, and the next append goes to a new segment.
        """
        with self._appending:
            before = dict(self.seqs)
            try:
                return self._append(drafts, commits, deads, accepted_at)
            except BaseException:
                self.seqs = before
                raise

    def _append(
        self, drafts: list[Draft], commits: list[Commit], deads: list[Dead], accepted_at: str
    ) -> list[Entry]:
        records = [self._number(draft, accepted_at) for draft in drafts]
        segment = self._segments[max(self._segments)]
        data = encode_batch(Batch(records, commits, deads, segment.records))
        writable = self._writable(len(data))
        if writable is not segment:
            segment = writable
            data = encode_batch(Batch(records, commits, deads, segment.records))
        offset = segment.size
        try:
            self._disk.append(self._fd, data)
            self._disk.sync(self._fd)
        except OSError as error:
            self._abandon()
            raise BufferUnavailable(f"buffer {self.directory}: {error}") from error
        with self._guard:
            return self._book(segment, offset, records, commits, deads, len(data))

    def read(self, entry: Entry) -> Accepted:
        """Return an entry's record, from memory or from its segment.

        Raises BufferUnavailable when the segment cannot be read or its frame is damaged.
        """
        if entry.record is not None:
            return entry.record
        with self._guard:
            cached = self._cached
        if cached is None or cached[:2] != (entry.segment, entry.offset):
            cached = (entry.segment, entry.offset, self._read_batch(entry))
            with self._guard:
                self._cached = cached
        return cached[2].records[entry.index]

    def delivered(self, entries: Iterable[Entry]) -> None:
        """Confirm that Kafka has these records."""
        by_segment: dict[int, list[int]] = {}
        for entry in entries:
            by_segment.setdefault(entry.segment, []).append(entry.ordinal)
        for number, ordinals in by_segment.items():
            try:
                append_acks(ack_path(self.directory, number), ordinals)
            except OSError as error:
                # Without its entry a record is sent again after a restart; keys make that harmless.
                log.warning("buffer_ack_not_written", segment=number, error=str(error))
            with self._guard:
                self._segments[number].undelivered -= len(ordinals)
        self._remove_done()

    def applied(self, segment: int, *, poll_id: str | None) -> None:
        """Confirm that PostgreSQL has one COMMIT (``poll_id``) or dead letter of a segment."""
        with self._guard:
            self._segments[segment].unapplied -= 1
            if poll_id is not None:
                for other in self._segments.values():
                    other.open_polls.discard(poll_id)
        self._remove_done()

    @property
    def current_segment(self) -> int:
        """The number of the segment that took the last append."""
        with self._guard:
            return max(self._segments)

    def seqs_durable(self) -> dict[str, int]:
        """Return the highest durable sequence number per dataset."""
        with self._guard:
            return dict(self._durable_seqs)

    def size_bytes(self) -> int:
        """Return the bytes of all segments."""
        with self._guard:
            return sum(segment.size for segment in self._segments.values())

    def free_bytes(self) -> int:
        """Return the free bytes of the disk below the buffer."""
        return self._disk.free_bytes(self.directory)

    def segment_count(self) -> int:
        """Return the number of segment files."""
        with self._guard:
            return len(self._segments)

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
            before = dict(self.seqs), dict(self._durable_seqs)
            self.seqs.update(raised)
            self._durable_seqs.update(raised)
            try:
                self._start_segment(max(self._segments) + 1)
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

    def _adopt(self, found: RecoveredSegment) -> None:
        self._segments[found.number] = Segment(
            number=found.number,
            size=found.size,
            is_closed=True,
            records=found.records,
            undelivered=len(found.undelivered),
            unapplied=len(found.commits) + len(found.deads),
            open_polls=set(found.polls),
        )

    def _number(self, draft: Draft, accepted_at: str) -> Accepted:
        seq = self.seqs.get(draft.dataset, 0) + 1
        self.seqs[draft.dataset] = seq
        return draft.accept(writer=self.writer, seq=seq, accepted_at=accepted_at)

    def _writable(self, size: int) -> Segment:
        current = self._segments[max(self._segments)]
        if self._fd >= 0 and (current.size + size <= self._segment_bytes or current.is_fresh):
            return current
        self._start_segment(current.number + 1)
        return self._segments[max(self._segments)]

    def _start_segment(self, number: int) -> None:
        previous = self._segments.get(max(self._segments, default=-1))
        # A segment that failed may hold bytes nobody was promised; recovery must not read them.
        cut = (previous.number, previous.size) if previous and self._fd < 0 else None
        header = encode_header(Header(self.writer, self.epoch, number, self._durable_seqs, cut))
        fd = self._create(number, header)
        if self._fd >= 0:
            os.close(self._fd)
        with self._guard:
            if previous is not None:
                previous.is_closed = True
            self._fd = fd
            self._segments[number] = Segment(number, len(header), cut=cut[0] if cut else None)
        self._remove_done()

    def _create(self, number: int, header: bytes) -> int:
        path, fd = segment_path(self.directory, number), -1
        try:
            self._disk.remove(path)
            self._disk.remove(ack_path(self.directory, number))
            fd = self._disk.create(path)
            self._disk.append(fd, header)
            self._disk.sync(fd)
            self._disk.sync_directory(self.directory)
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

    def _book(
        self,
        segment: Segment,
        offset: int,
        records: list[Accepted],
        commits: list[Commit],
        deads: list[Dead],
        size: int,
    ) -> list[Entry]:
        base = segment.records
        share = size // max(len(records), 1)
        entries = [
            Entry(segment.number, base + index, offset, index, record.priority, share, record)
            for index, record in enumerate(records)
        ]
        segment.size, segment.is_fresh = offset + size, False
        segment.records += len(records)
        segment.undelivered += len(records)
        segment.unapplied += len(commits) + len(deads)
        segment.open_polls.update(record.poll_id for record in records)
        self._durable_seqs = dict(self.seqs)
        return entries

    def _read_batch(self, entry: Entry) -> Batch:
        path = segment_path(self.directory, entry.segment)
        try:
            size = frame_size(self._disk.read_at(path, entry.offset, PREFIX_SIZE))
            frame = frame_at(self._disk.read_at(path, entry.offset, size), 0)
        except OSError as error:
            raise BufferUnavailable(f"buffer {path}: {error}") from error
        if frame is None:
            raise BufferUnavailable(f"buffer {path}: no intact frame at byte {entry.offset}")
        try:
            return decode_batch(frame.payload)
        except msgspec.MsgspecError as error:
            raise BufferUnavailable(f"buffer {path}: byte {entry.offset}: {error}") from error

    def _remove_done(self) -> None:
        with self._guard:
            done = []
            for number in sorted(self._segments):
                segment = self._segments[number]
                # A refused tail must stay named for as long as its segment can be read again.
                if segment.is_done and segment.cut not in self._segments:
                    del self._segments[number]
                    done.append(number)
        for number in done:
            try:
                self._disk.remove(segment_path(self.directory, number))
                self._disk.remove(ack_path(self.directory, number))
            except OSError as error:
                # All of it is confirmed; the next start finds that and removes it.
                log.warning("buffer_segment_not_removed", segment=number, error=str(error))
