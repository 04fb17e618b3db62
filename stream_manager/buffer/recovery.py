"""Reading what an earlier process left: every intact batch, whatever lies between.

A damaged stretch at the very end of the last segment is a torn write that nobody was promised: it
is cut. Any other damage is set aside in ``quarantine/`` and counted, and reading goes on behind it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from emdata.commits import Commit, Dead
from emdata.envelope import Accepted
from emdata.telemetry import get_logger
from stream_manager.buffer.acks import read_acks
from stream_manager.buffer.disk import Disk
from stream_manager.buffer.frames import (
    HEADER_MAGIC,
    Batch,
    Damage,
    Entry,
    Frame,
    Header,
    decode_batch,
    decode_header,
    frame_at,
    scan,
)

log = get_logger(__name__)
HEADER_LIMIT = 1 << 20
_NAME = re.compile(r"^(\d{20})\.seg$")


@dataclass
class RecoveredSegment:
    """One segment's intact content."""

    number: int
    size: int
    records: int = 0
    undelivered: list[Entry] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    deads: list[Dead] = field(default_factory=list)
    polls: set[str] = field(default_factory=set)


@dataclass
class Recovered:
    """The content of all segments, and what was wrong with them.

    interrupted holds, by poll id, the records (without payloads) of polls that have no COMMIT.
    """

    segments: list[RecoveredSegment] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    last_number: int = 0
    torn_bytes: int = 0
    quarantined_bytes: int = 0
    missing: list[int] = field(default_factory=list)
    interrupted: dict[str, list[Accepted]] = field(default_factory=dict)


def segment_path(directory: Path, number: int) -> Path:
    """Return the path of a segment."""
    return directory / f"{number:020d}.seg"


def ack_path(directory: Path, number: int) -> Path:
    """Return the path of a segment's confirmations."""
    return directory / f"{number:020d}.ack"


def recover(directory: Path, disk: Disk, *, memory_bytes: int) -> Recovered:
    """Read all segments in order; records beyond ``memory_bytes`` stay on disk only."""
    numbers = sorted(int(m[1]) for p in directory.iterdir() if (m := _NAME.match(p.name)))
    for path in directory.glob("*.ack"):
        if not path.with_suffix(".seg").exists():
            disk.remove(path)
    reader = _Reader(directory, disk, memory_bytes, numbers)
    for number in numbers:
        reader.read(number)
    return reader.result


class _Reader:
    """Walks through the segments and gathers a ``Recovered``."""

    def __init__(self, directory: Path, disk: Disk, memory_bytes: int, numbers: list[int]) -> None:
        self._directory, self._disk = directory, disk
        self._memory_left = memory_bytes
        self._cuts = dict(filter(None, (self._cut_of(number) for number in numbers)))
        self._last = numbers[-1] if numbers else 0
        present = set(numbers)
        missing = [n for n in range(min(present, default=0), self._last) if n not in present]
        self.result = Recovered(last_number=self._last, missing=missing)
        for number in missing:
            log.debug("buffer_segment_absent", segment=number)

    def read(self, number: int) -> None:
        """Take one segment's frames into the result."""
        path = segment_path(self._directory, number)
        data = self._disk.read(path)
        kept = self._cuts.get(number, len(data))
        if kept < len(data):
            # For good: the segment that names the cut may be removed before this one.
            self._disk.truncate(path, kept)
            data = data[:kept]
        segment = RecoveredSegment(number, len(data))
        acked = read_acks(ack_path(self._directory, number))
        for piece in scan(data):
            if isinstance(piece, Damage):
                self._set_aside(segment, data, piece)
            else:
                self._take(segment, piece, acked)
        self.result.segments.append(segment)

    def _cut_of(self, number: int) -> tuple[int, int] | None:
        start = self._disk.read(segment_path(self._directory, number), HEADER_LIMIT)
        frame = frame_at(start, 0)
        if frame is None or frame.magic != HEADER_MAGIC:
            return None
        try:
            return decode_header(frame.payload).cut
        except msgspec.MsgspecError:
            return None  # counted as damage when the segment itself is read

    def _take(self, segment: RecoveredSegment, frame: Frame, acked: set[int]) -> None:
        try:
            if frame.magic == HEADER_MAGIC:
                self._take_header(decode_header(frame.payload))
            else:
                self._take_batch(segment, frame, decode_batch(frame.payload), acked)
        except msgspec.MsgspecError as error:
            self._quarantine(segment.number, frame.start, frame.payload, str(error))

    def _take_header(self, header: Header) -> None:
        self.result.epoch = max(self.result.epoch, header.epoch)
        for dataset, seq in header.seqs.items():
            self._raise_seq(dataset, seq)

    def _take_batch(
        self, segment: RecoveredSegment, frame: Frame, batch: Batch, acked: set[int]
    ) -> None:
        share = (frame.end - frame.start) // max(len(batch.records), 1)
        if batch.base is not None:
            segment.records = batch.base
        for index, record in enumerate(batch.records):
            ordinal = segment.records
            segment.records += 1
            segment.polls.add(record.poll_id)
            self._raise_seq(record.dataset, record.seq)
            light = msgspec.structs.replace(record, payload=b"")
            self.result.interrupted.setdefault(record.poll_id, []).append(light)
            if ordinal not in acked:
                self._memory_left -= share
                held = record if self._memory_left > 0 else None
                place = (segment.number, ordinal, frame.start, index, record.priority, share)
                segment.undelivered.append(Entry(*place, held))
        for commit in batch.commits:
            self.result.interrupted.pop(commit.poll_id, None)
        segment.commits.extend(batch.commits)
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
