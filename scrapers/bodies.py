"""Reads a response body with caps on the compressed and on the decompressed bytes.

Decompression is done here, a bounded piece at a time, because a cap that is looked at after a
decoder has inflated a whole chunk is no cap.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import zstandard

from emdata.errors import ResponseTooLarge, SourceUnavailable

ACCEPT_ENCODING = "gzip, deflate, zstd"
_PIECE = 256 * 1024
_MAX_WINDOW = 8 * 1024 * 1024


class _Decoder(Protocol):
    def pieces(self, data: bytes) -> Iterator[bytes]: ...

    def finished(self) -> bool: ...


class _Plain:
    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finished(self) -> bool:
        return True


class _Zlib:
    """gzip (members may follow each other) or deflate."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(self._wbits)
            out = self._inflate.decompress(data, _PIECE)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if out:
                yield out
        while not self._inflate.eof and (out := self._inflate.decompress(b"", _PIECE)):
            yield out

    def finished(self) -> bool:
        return self._inflate.eof


class _Zstd:
    """One Zstandard frame; input is fed in slivers, since its output cannot be bounded."""

    _SLIVER = 64

    def __init__(self) -> None:
        maker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        self._inflate = maker.decompressobj(write_size=_PIECE)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self._SLIVER):
            if self._inflate.eof:
                return
            out = self._inflate.decompress(data[start : start + self._SLIVER])
            if out:
                yield out

    def finished(self) -> bool:
        return self._inflate.eof


def _decoder(encoding: str, url: str) -> _Decoder:
    word = encoding.strip().lower()
    if word in ("", "identity"):
        return _Plain()
    if word in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if word == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    if word == "zstd":
        return _Zstd()
    raise SourceUnavailable(
        f"{url}: Content-Encoding {word[:40]!r} was not asked for; asked for: {ACCEPT_ENCODING}"
    )


async def read_body(
    chunks: AsyncIterator[bytes], *, encoding: str, max_bytes: int, url: str
) -> bytes:
    """Return the decompressed body.

    Raises ResponseTooLarge as soon as more than ``max_bytes`` arrived or came out of the decoder,
    SourceUnavailable when the compressed stream is damaged or cut off.
    """
    decoder = _decoder(encoding, url)
    body, received = bytearray(), 0
    try:
        async for chunk in chunks:
            received += len(chunk)
            _check(received, max_bytes, url)
            for piece in decoder.pieces(chunk):
                body += piece
                _check(len(body), max_bytes, url)
    except (zlib.error, zstandard.ZstdError) as error:
        raise SourceUnavailable(f"{url}: damaged {encoding} body: {error}") from error
    if received and not decoder.finished():
        raise SourceUnavailable(f"{url}: {encoding} body is cut off after {received} bytes")
    return bytes(body)


def _check(size: int, max_bytes: int, url: str) -> None:
    if size > max_bytes:
        raise ResponseTooLarge(f"{url}: body exceeds {max_bytes} bytes")
