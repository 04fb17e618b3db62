"""Compressed bodies, unpacked in pieces of bounded size."""

from __future__ import annotations

import bz2
import zlib
from typing import Protocol

from embedded_starrocks.storage.readers import LoadError

_PIECE = 1 << 20


class Unpacker(Protocol):
    """What zlib's and bz2's decompressors have in common, made so."""

    @property
    def eof(self) -> bool: ...

    def pieces(self, chunk: bytes) -> list[bytes]: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits=wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def pieces(self, chunk: bytes) -> list[bytes]:
        found = []
        while chunk:
            found.append(self._inner.decompress(chunk, _PIECE))
            chunk = self._inner.unconsumed_tail
        return found


class _Bzip2:
    def __init__(self) -> None:
        self._inner = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def pieces(self, chunk: bytes) -> list[bytes]:
        found: list[bytes] = []
        while chunk or not self._inner.needs_input:
            if self._inner.eof:
                break
            found.append(self._inner.decompress(chunk, _PIECE))
            chunk = b""
        return found


def unpacker(encoding: str) -> Unpacker | None:
    """The unpacker for a compression's name; None for none. Raises LoadError for another."""
    if encoding in ("", "identity", "none"):
        return None
    if encoding == "gzip":
        return _Zlib(31)
    if encoding in ("deflate", "zlib"):
        return _Zlib(15)
    if encoding in ("bzip2", "bz2"):
        return _Bzip2()
    raise LoadError(f"compression {encoding} is not supported; use gzip, deflate, bzip2 or none")


def unpacked(unpack: Unpacker | None, chunk: bytes) -> list[bytes]:
    """The chunk, decompressed when it is compressed."""
    if unpack is None:
        return [chunk]
    try:
        return unpack.pieces(chunk)
    except (zlib.error, OSError, EOFError) as error:
        raise LoadError(f"the body can't be decompressed: {error}") from None
