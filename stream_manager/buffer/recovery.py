"""Reading what an earlier process left: every intact batch, whatever lies between.

A damaged stretch at the very end of the last segment is a torn write that nobody was promised: it
is cut. Any other damage is set aside in ``quarantine/`` and counted, and reading goes on behind it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from emdata.commits import Dead
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager.buffer.acks import read_acks
from stream_manager.buffer.blocks import Block, Place, Run, runs_of
from stream_manager.buffer.disk import Disk
from stream_manager.buffer.frames import (
    HEADER_MAGIC,
    Damage,
    Frame,
    Header,
    StoredBatch,
    StoredCommit,
    decode_batch,
    decode_columns,
    decode_header,
    header_of,
    read_frame,
    scan,
)

log = get_logger(__name__)
_NAME = re.compile(r"^(\d{20})\.seg$")


@dataclass
class RecoveredSegment:
    """One segment's intact content."""

    number: int
    size: int
    records: int = 0
    undelivered: list[Run] = field(default_factory=list)
    commits: list[StoredCommit] = field(default_factory=list)
    deads: list[Dead] = field(default_factory=list)
    polls: set[str] = field(default_factory=set)


@dataclass
class Recovered:
    """The content of all segments, and what was wrong with them.

    interrupted holds, by poll id, the blocks (without payloads) of polls that have no COMMIT.
    """

    segments: list[RecoveredSegment] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    last_number: int = 0
    torn_bytes: int = 0
    quarantined_bytes: int = 0
    missing: list[int] = field(default_factory=list)
    interrupted: dict[str, list[Block]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Content:
    """A segment's bytes up to its cut, and the frames and damage in them."""

    data: bytes
    pieces: list[Frame | Damage]
    is_cut: bool


def _read_ahead(
    numbers: list[int], load: Callable[[int], _Content], readers: int
) -> Iterator[tuple[int, _Content]]:
    """Load segments in order, as many at once as there are ``readers``; 0: here.

    Checksums take most of a start's time and hold no lock while they run.
    """
    if readers == 0:
        yield from ((number, load(number)) for number in numbers)
        return
    with ThreadPoolExecutor(readers, "buffer-reader") as pool:
        waiting: deque[tuple[int, Future[_Content]]] = deque()
        for number in numbers:
            waiting.append((number, pool.submit(load, number)))
            if len(waiting) > readers:
                first, content = waiting.popleft()
                yield first, content.result()
        for number, content in waiting:
            yield number, content.result()


def segment_path(directory: Path, number: int) -> Path:
    """Return the path of a segment."""
    return directory / f"{number:020d}.seg"


def ack_path(directory: Path, number: int) -> Path:
    """Return the path of a segment's confirmations."""
    return directory / f"{number:020d}.ack"


def recover(
    directory: Path,
    disk: Disk,
    *,
    writer: int,
    memory_bytes: int,
    at_of: Callable[[str], float],
) -> Recovered:
    """Read all segments in order; records beyond ``memory_bytes`` stay on disk only.

    Raises BufferUnavailable when what lies there cannot be made durable.
    """
    numbers = sorted(int(m[1]) for p in directory.iterdir() if (m := _NAME.match(p.name)))
    for path in directory.glob("*.ack"):
        if not path.with_suffix(".seg").exists():
            disk.remove(path)
    reader = _Reader(directory, disk, numbers, writer, memory_bytes, at_of)
    for number, content in _read_ahead(numbers, reader.load, disk.readers):
        reader.take(number, content)
    reader.find_interrupted()
    return reader.result


class _Reader:
    """Walks through the segments and gathers a ``Recovered``."""

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        numbers: list[int],
        writer: int,
        memory_bytes: int,
        at_of: Callable[[str], float],
    ) -> None:
        self._directory, self._disk = directory, disk
        self._writer, self._memory_left, self._at_of = writer, memory_bytes, at_of
        self._open: dict[str, list[tuple[int, int, int]]] = {}
        self._cuts = dict(filter(None, (self._cut_of(number) for number in numbers)))
        self._last = numbers[-1] if numbers else 0
        present = set(numbers)
        missing = [n for n in range(min(present, default=0), self._last) if n not in present]
        self.result = Recovered(last_number=self._last, missing=missing)
        for number in missing:
            log.debug("buffer_segment_absent", segment=number)

    def load(self, number: int) -> _Content:
        """Read one segment and check its frames; touches nothing else, so threads may."""
        path = segment_path(self._directory, number)
        try:
            # A process that was killed between write and fsync leaves records that only the page
            # cache has; sent from there and lost with the power, they would leave a hole.
            self._disk.sync_file(path)
        except OSError as error:
            raise BufferUnavailable(f"buffer {path}: {error}") from error
        data = self._disk.read(path)
        size = len(data)
        data = data[: self._cuts.get(number, size)]
        return _Content(data, list(scan(data)), is_cut=len(data) < size)

    def take(self, number: int, content: _Content) -> None:
        """Take one segment's frames into the result."""
        data = content.data
        if content.is_cut:
            # For good: the segment that names the cut may be removed before this one.
            self._disk.truncate(segment_path(self._directory, number), len(data))
        segment = RecoveredSegment(number, len(data))
        acked = read_acks(ack_path(self._directory, number))
        for piece in content.pieces:
            if isinstance(piece, Damage):
                self._set_aside(segment, data, piece)
            else:
                self._take(segment, piece, acked)
        self.result.segments.append(segment)

    def _cut_of(self, number: int) -> tuple[int, int] | None:
        # A damaged header is counted as damage when the segment itself is read.
        header = header_of(partial(self._disk.read_at, segment_path(self._directory, number)))
        return None if header is None else header.cut

    def _take(self, segment: RecoveredSegment, frame: Frame, acked: set[int]) -> None:
        try:
            if frame.magic == HEADER_MAGIC:
                self._take_header(decode_header(frame.payload))
            else:
                self._take_batch(segment, frame, decode_batch(frame.payload), acked)
        except msgspec.MsgspecError as error:
            self._quarantine(segment.number, frame.start, bytes(frame.payload), str(error))

    def _take_header(self, header: Header) -> None:
        self.result.epoch = max(self.result.epoch, header.epoch)
        for dataset, seq in header.seqs.items():
            self._raise_seq(dataset, seq)

    def find_interrupted(self) -> None:
        """Read the blocks of the polls that never ended; there are few."""
        for poll_id, places in self._open.items():
            blocks = self.result.interrupted.setdefault(poll_id, [])
            for number, offset, index in places:
                path = segment_path(self._directory, number)
                frame = read_frame(partial(self._disk.read_at, path), offset)
                if frame is None:
                    raise BufferUnavailable(f"segment {number}: byte {offset} changed while read")
                batch = decode_batch(frame.payload)
                columns = decode_columns(batch.columns[index])
                columns.payloads, columns.ends = memoryview(b""), []
                blocks.append(Block(self._writer, batch.heads[index], columns))

    def _take_batch(
        self, segment: RecoveredSegment, frame: Frame, batch: StoredBatch, acked: set[int]
    ) -> None:
        commits = batch.stored_commits()
        segment.records = batch.base
        count = sum(map(len, batch.heads))
        for index, head in enumerate(batch.heads):
            base, size = segment.records, (frame.end - frame.start) * len(head) // count
            segment.records += len(head)
            segment.polls.add(head.poll_id)
            self._raise_seq(head.dataset, head.last_seq)
            self._open.setdefault(head.poll_id, []).append((segment.number, frame.start, index))
            waiting = _without(range(len(head)), base, acked)
            if not waiting:
                continue
            self._memory_left -= size
            block = None
            if self._memory_left > 0:
                columns = decode_columns(batch.columns[index])
                columns.payloads = memoryview(bytes(columns.payloads))  # the segment may go
                block = Block(self._writer, head, columns)
            segment.undelivered += runs_of(
                Place(segment.number, frame.start, index, base),
                head,
                waiting,
                at=self._at_of(head.accepted_at),
                size=size,
                block=block,
            )
        for commit in commits:
            self._open.pop(commit.poll_id, None)
        segment.commits.extend(commits)
        segment.deads.extend(batch.deads)

    def _raise_seq(self, dataset: str, seq: int) -> None:
        self.result.seqs[dataset] = max(self.result.seqs.get(dataset, 0), seq)

    def _set_aside(self, segment: RecoveredSegment, data: bytes, damage: Damage) -> None:
        size = damage.end - damage.start
        if not (damage.at_end and segment.number == self._last):
            self._quarantine(
                segment.number, damage.start, data[damage.start : damage.end], "no intact frame"
            )
            return
        log.warning("buffer_torn_tail_cut", segment=segment.number, at=damage.start, bytes=size)
        self._disk.truncate(segment_path(self._directory, segment.number), damage.start)
        segment.size = damage.start
        self.result.torn_bytes += size

    def _quarantine(self, number: int, offset: int, data: bytes, why: str) -> None:
        folder = self._directory / "quarantine"
        try:
            folder.mkdir(exist_ok=True)
            (folder / f"{number:020d}-{offset}.bin").write_bytes(data)
        except OSError as error:
            # A copy for study; what is intact must be read even while the disk is full.
            log.warning("buffer_quarantine_not_written", segment=number, error=str(error))
        self.result.quarantined_bytes += len(data)
        log.error("buffer_batch_quarantined", segment=number, at=offset, bytes=len(data), why=why)


def _without(positions: range, base: int, acked: set[int]) -> Sequence[int]:
    """Return the positions whose ordinals (from ``base``) are not confirmed."""
    if not acked or acked.isdisjoint(range(base, base + len(positions))):
        return positions
    return [position for position in positions if base + position not in acked]
