"""Looking into segments without touching them: no lock, no cut, also while a manager runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from emdata.commits import Dead
from stream_manager.buffer.acks import read_acks
from stream_manager.buffer.blocks import Block
from stream_manager.buffer.disk import OsDisk
from stream_manager.buffer.frames import (
    HEADER_MAGIC,
    Damage,
    Frame,
    StoredBatch,
    decode_batch,
    decode_columns,
    decode_header,
    header_of,
    scan,
)

# A segment in its directory, or a copy of one that carries a hash in its name.
_NAME = re.compile(r"^(\d{20})(?:-[0-9a-f]+)?\.seg$")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a segment that hold no intact frame, and why."""

    start: int
    end: int
    why: str


@dataclass(slots=True)
class SegmentReport:
    """What one segment file holds. size is in bytes, beyond a cut not counted.

    is_newest: nothing follows, so that a torn tail may be a write under way. torn: bytes of such
    a tail. undelivered: records without a confirmation.
    """

    path: Path
    number: int
    size: int
    is_newest: bool
    writer: int | None = None
    epoch: int | None = None
    batches: int = 0
    records: int = 0
    undelivered: int = 0
    commits: int = 0
    deads: list[Dead] = field(default_factory=list)
    torn: int = 0
    damage: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BlockAt:
    """A block of a segment and the positions of its records that are not confirmed."""

    block: Block
    undelivered: Sequence[int]


def segment_files(directory: Path) -> list[Path]:
    """Return the segments of a directory, by number.

    Raises FileNotFoundError when there is no such directory.
    """
    return sorted(path for path in directory.iterdir() if _NAME.match(path.name))


class SegmentFiles:
    """The segments of one directory, read in order, each when it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._cuts = dict(filter(None, map(_cut_of, self._paths)))

    def __iter__(self) -> Iterator[tuple[SegmentReport, list[BlockAt]]]:
        for index, path in enumerate(self._paths):
            try:
                yield self._read(path, is_newest=index == len(self._paths) - 1)
            except FileNotFoundError:
                continue  # done and removed while this one looked

    def _read(self, path: Path, *, is_newest: bool) -> tuple[SegmentReport, list[BlockAt]]:
        number = _number(path)
        data = path.read_bytes()[: self._cuts.get(number)]
        report = SegmentReport(path, number, len(data), is_newest)
        acked, blocks = read_acks(path.with_suffix(".ack")), []
        for piece in scan(data):
            if isinstance(piece, Damage):
                _note_damage(report, piece)
                continue
            try:
                blocks += _take(report, piece, acked)
            except (msgspec.MsgspecError, ValueError) as error:
                why = f"not of this release: {error}"
                report.damage.append(Stretch(piece.start, piece.end, why))
        return report, blocks


def _take(report: SegmentReport, frame: Frame, acked: set[int]) -> list[BlockAt]:
    if frame.magic == HEADER_MAGIC:
        header = decode_header(frame.payload)
        report.writer, report.epoch = header.writer, header.epoch
        return []
    batch = decode_batch(frame.payload)
    blocks = [
        BlockAt(Block(report.writer or 0, head, decode_columns(raw)), ())
        for head, raw in zip(batch.heads, batch.columns, strict=True)
    ]
    return list(_count(report, batch, blocks, acked))


def _count(
    report: SegmentReport, batch: StoredBatch, blocks: list[BlockAt], acked: set[int]
) -> Iterator[BlockAt]:
    base = batch.base
    for one in blocks:
        size = len(one.block)
        waiting = [at for at in range(size) if base + at not in acked]
        base += size
        report.undelivered += len(waiting)
        yield BlockAt(one.block, waiting)
    report.batches += 1
    report.records += base - batch.base
    report.commits += len(batch.commits)
    report.deads += batch.deads


def _note_damage(report: SegmentReport, damage: Damage) -> None:
    if damage.at_end and report.is_newest:
        report.torn += damage.end - damage.start
        return
    report.damage.append(Stretch(damage.start, damage.end, "no intact frame"))


def _cut_of(path: Path) -> tuple[int, int] | None:
    try:
        header = header_of(partial(OsDisk().read_at, path))
    except FileNotFoundError:
        return None
    return None if header is None else header.cut


def _number(path: Path) -> int:
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError(f"{path} is no segment")
    return int(match[1])
