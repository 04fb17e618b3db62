"""Which records of a segment Kafka has confirmed, in a side file beside it.

Entries are ``first ordinal | last ordinal | CRC-32`` (4 bytes each). They are not fsynced: a lost
entry means a redelivery, which the record's identity makes harmless.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_RANGE = struct.Struct("<II")
_ENTRY = struct.Struct("<III")


def append_acks(path: Path, confirmed: Iterable[tuple[int, int]]) -> None:
    """Append confirmed ordinals as (first, last) ranges; a torn entry at the end is cut first."""
    data = b"".join(_entry(first, last) for first, last in confirmed)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size % _ENTRY.size:
            # Entries have no frame of their own: behind a torn one, none would be found again.
            os.ftruncate(fd, size - size % _ENTRY.size)
        os.write(fd, data)
    finally:
        os.close(fd)


def read_acks(path: Path) -> set[int]:
    """Return the confirmed ordinals; a damaged or cut entry counts as not confirmed."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return set()
    acked: set[int] = set()
    for offset in range(0, len(data) - _ENTRY.size + 1, _ENTRY.size):
        first, last, crc = _ENTRY.unpack_from(data, offset)
        if crc == zlib.crc32(data[offset : offset + _RANGE.size]) and first <= last:
            acked.update(range(first, last + 1))
    return acked


def ranges(ordinals: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Join ascending ordinals into (first, last) ranges."""
    first = last = -1
    for ordinal in ordinals:
        if first >= 0 and ordinal == last + 1:
            last = ordinal
            continue
        if first >= 0:
            yield first, last
        first = last = ordinal
    if first >= 0:
        yield first, last


def _entry(first: int, last: int) -> bytes:
    pair = _RANGE.pack(first, last)
    return pair + zlib.crc32(pair).to_bytes(4, "little")
