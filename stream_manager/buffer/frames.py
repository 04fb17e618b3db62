"""The buffer's format on disk.

A segment is a header frame followed by batch frames. A frame is ``magic (4) | length (4) |
CRC-32 of the payload (4) | payload``, little endian; the payload is MessagePack. One CRC and one
fdatasync cover a whole batch. The magic lets recovery find the next frame behind a damaged one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec
from msgspec.structs import replace

from emdata.commits import Commit, Dead
from stream_manager.buffer.blocks import BlockHead, Columns

_PREFIX = struct.Struct("<4sII")
HEADER_MAGIC = b"EMH1"
BATCH_MAGIC = b"EMB2"
PREFIX_SIZE = _PREFIX.size
MAX_PAYLOAD = 1 << 30


class Header(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of a segment.

    seqs: highest sequence number per dataset before this segment, so that numbering survives the
    removal of every older segment. cut: (segment, size) when an older segment's tail beyond
    ``size`` was never acknowledged and must not be read.
    """

    writer: int
    epoch: int
    segment: int
    seqs: dict[str, int]
    cut: tuple[int, int] | None = None


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one fdatasync makes durable; commits and deads belong behind the records.

    base: the first record's ordinal in its segment, so that confirmations still name the right
    records when a batch before this one is damaged. columns: one a head; apart from them, because
    recovery and bookkeeping need the heads only.
    """

    base: int
    heads: list[BlockHead]
    commits: list[Commit]
    deads: list[Dead]
    columns: Sequence[Columns]


class StoredCommit(msgspec.Struct, frozen=True):
    """A COMMIT as it lies in a batch: thousands of keys that nobody asks for yet."""

    poll_id: str
    raw: bytes

    def load(self) -> Commit:
        """Return the COMMIT; msgspec.MsgspecError when it is of another version."""
        return _COMMITS.decode(self.raw)


class StoredBatch(msgspec.Struct, frozen=True, array_like=True):
    """A batch as recovery reads it: as ``Batch``, with what is large left encoded.

    commits and columns are views of the payload that they were read from.
    """

    base: int
    heads: list[BlockHead]
    commits: list[msgspec.Raw]
    deads: list[Dead]
    columns: list[msgspec.Raw]

    def stored_commits(self) -> list[StoredCommit]:
        """Return the COMMITs; msgspec.MsgspecError when they are of another version."""
        return [StoredCommit(_COMMIT_IDS.decode(raw).poll_id, bytes(raw)) for raw in self.commits]


class _CommitId(msgspec.Struct, frozen=True, array_like=True):
    """The first field of a ``Commit``; the rest is skipped."""

    poll_id: str


class _EarlierColumns(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """As ``Columns`` were written until November 2026: each payload by itself."""

    record_keys: list[str]
    versions: list[str | None] | None
    kafka_keys: list[str] | None
    key_hashes: bytes
    content_hashes: bytes
    payloads: list[bytes]
    regions: list[str | None] | None = None

    def columns(self) -> Columns:
        return Columns(
            self.record_keys,
            self.versions,
            self.kafka_keys,
            self.key_hashes,
            self.content_hashes,
            self.regions,
            list(accumulate(map(len, self.payloads))),
            memoryview(b"".join(self.payloads)),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One intact frame of a segment: where it starts and ends, and its payload."""

    start: int
    end: int
    magic: bytes
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a segment that holds no intact frame. ``at_end``: nothing intact follows."""

    start: int
    end: int
    at_end: bool


_ENCODER = msgspec.msgpack.Encoder()
# MessagePack: an empty array, one of so many items, no bytes, so many bytes.
_NO_ARRAY, _ARRAY = b"\x90", struct.Struct(">BI")
_NO_BYTES, _BYTES = b"\xc4\x00", struct.Struct(">BI")
_BATCHES = msgspec.msgpack.Decoder(StoredBatch)
_COMMITS = msgspec.msgpack.Decoder(Commit)
_COMMIT_IDS = msgspec.msgpack.Decoder(_CommitId)
_COLUMNS = msgspec.msgpack.Decoder(Columns)
_EARLIER_COLUMNS = msgspec.msgpack.Decoder(_EarlierColumns)
_HEADERS = msgspec.msgpack.Decoder(Header)


def encode_header(header: Header) -> bytes:
    """Return a header frame."""
    return _frame(HEADER_MAGIC, [_ENCODER.encode(header)])


def encode_batch(batch: Batch) -> bytes:
    """Return a batch frame.

    Raises TypeError, ValueError or msgspec.MsgspecError for what cannot be encoded.
    """
    return _frame(BATCH_MAGIC, [*_pieces(batch)])


def _pieces(batch: Batch) -> Iterator[bytes | memoryview]:
    """Yield what msgspec would make of a batch, without encoding its payloads: they end columns."""
    count = len(batch.columns)
    yield _ENCODER.encode(replace(batch, columns=[]))[: -len(_NO_ARRAY)]
    yield _ARRAY.pack(0xDD, count)
    for columns in batch.columns:
        yield _ENCODER.encode(replace(columns, payloads=memoryview(b"")))[: -len(_NO_BYTES)]
        yield _BYTES.pack(0xC6, len(columns.payloads))
        yield columns.payloads


def decode_columns(raw: msgspec.Raw) -> Columns:
    """Read a block's columns; msgspec.MsgspecError when they are of another version.

    Their payloads are a view of ``raw``.
    """
    try:
        return _COLUMNS.decode(raw)
    except msgspec.ValidationError:
        return _EARLIER_COLUMNS.decode(raw).columns()


def decode_header(payload: bytes | memoryview) -> Header:
    """Read a header frame's payload; msgspec.MsgspecError when it is of another version."""
    return _HEADERS.decode(payload)


def decode_batch(payload: bytes | memoryview) -> StoredBatch:
    """Read a batch frame's payload; msgspec.MsgspecError when it is of another version."""
    return _BATCHES.decode(payload)


def scan(data: bytes) -> Iterator[Frame | Damage]:
    """Walk through a segment: its intact frames, and the stretches between them that are not."""
    position, damage = 0, -1
    while position < len(data):
        frame = frame_at(data, position)
        if frame is None:
            damage = position if damage < 0 else damage
            position = _next_magic(data, position + 1)
            continue
        if damage >= 0:
            yield Damage(damage, position, at_end=False)
            damage = -1
        yield frame
        position = frame.end
    if damage >= 0:
        yield Damage(damage, len(data), at_end=True)


def frame_at(data: bytes, position: int) -> Frame | None:
    """Return the intact frame that starts at ``position``, or None."""
    if position + PREFIX_SIZE > len(data):
        return None
    magic, length, crc = _PREFIX.unpack_from(data, position)
    end = position + PREFIX_SIZE + length
    if magic not in (HEADER_MAGIC, BATCH_MAGIC) or length > MAX_PAYLOAD or end > len(data):
        return None
    payload = memoryview(data)[position + PREFIX_SIZE : end]
    if zlib.crc32(payload) != crc:
        return None
    return Frame(position, end, magic, payload)


def read_frame(read: Callable[[int, int], bytes], offset: int) -> Frame | None:
    """Return the intact frame at ``offset`` of a file, or None; ``read(offset, size)`` reads it.

    What ``read`` raises passes through.
    """
    size = frame_size(read(offset, PREFIX_SIZE))
    return frame_at(read(offset, size), 0)


def header_of(read: Callable[[int, int], bytes]) -> Header | None:
    """Return a segment's header; None when it is damaged or of another version."""
    frame = read_frame(read, 0)
    if frame is None or frame.magic != HEADER_MAGIC:
        return None
    try:
        return decode_header(frame.payload)
    except msgspec.MsgspecError:
        return None


def frame_size(prefix: bytes) -> int:
    """Return the size of the frame that starts with ``prefix``; 0 when none does."""
    if len(prefix) < PREFIX_SIZE:
        return 0
    magic, length, _crc = _PREFIX.unpack_from(prefix)
    known = magic in (HEADER_MAGIC, BATCH_MAGIC) and length <= MAX_PAYLOAD
    return PREFIX_SIZE + length if known else 0


def _frame(magic: bytes, pieces: list[bytes | memoryview]) -> bytes:
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return b"".join([_PREFIX.pack(magic, sum(map(len, pieces)), crc), *pieces])


def _next_magic(data: bytes, start: int) -> int:
    found = [
        at for at in (data.find(HEADER_MAGIC, start), data.find(BATCH_MAGIC, start)) if at >= 0
    ]
    return min(found, default=len(data))
