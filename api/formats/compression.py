"""Compression of answers by ``Accept-Encoding``: zstd (RFC 8878) and gzip; a pure ASGI layer.

Brotli is left out on purpose: at the speeds that an API compresses with, zstd is as small and
takes less time. What is compressed already, and what has to arrive piece by piece at once (events),
goes as it is. A range of a file is a range of its stored bytes, and never compressed.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import zstandard
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 1024
"""Fewer bytes fit one packet anyway."""
BESIDE = 128 << 10
"""More bytes than this are compressed beside the event loop."""
GZIP_LEVEL, ZSTD_LEVEL = 5, 3
_TYPES = re.compile(
    r"(?:text/(?!event-stream)|application/(?:[\w.-]+\+)?(?:json|xml)\b"
    r"|application/(?:x-ndjson|ndjson|jsonl|javascript|schema|vnd\.apache\.arrow)"
    r"|image/svg)"
)
_CODING = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?\Z", re.ASCII)
_LONGEST = 1024


class Compressor(Protocol):
    """One answer's compressor."""

    def compress(self, data: bytes) -> bytes:
        """Return what became ready."""
        ...

    def flush(self, mode: int = ...) -> bytes:
        """Return what is left, up to here or for good."""
        ...


def _zstd() -> Compressor:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()


def _gzip() -> Compressor:
    return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)


_CODINGS: Mapping[str, tuple[Callable[[], Compressor], int, int]] = {
    "zstd": (_zstd, zstandard.COMPRESSOBJ_FLUSH_BLOCK, zstandard.COMPRESSOBJ_FLUSH_FINISH),
    "gzip": (_gzip, zlib.Z_SYNC_FLUSH, zlib.Z_FINISH),
}
"""Name -> how it is made, how a piece is flushed, how it ends; the preferred one first."""


class Compression:
    """Compresses what gains by it; says ``Vary`` on all that could have been compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = next((v for k, v in scope["headers"] if k == b"accept-encoding"), b"")
        coding = coding_of(accepted.decode("latin-1")) if accepted else None
        await self._app(scope, receive, _Answer(send, coding))


def coding_of(accept: str) -> str | None:
    """Return the coding that a value of ``Accept-Encoding`` likes best; None for none."""
    qualities: dict[str, float] = {}
    for part in accept[:_LONGEST].split(","):
        match = _CODING.match(part)
        if match is not None:
            qualities[match[1].lower()] = float(match[2] or 1)
    rest = qualities.get("*", 0.0)
    liked = {name: qualities.get(name, rest) for name in _CODINGS}
    best = max(liked, key=lambda name: liked[name])
    if liked[best] <= 0 or liked[best] < qualities.get("identity", 0.0):
        return None
    return best


class _Answer:
    """Sends one answer. Its start waits for the first piece, which tells whether there are more."""

    def __init__(self, send: Send, coding: str | None) -> None:
        self._send, self._coding = send, coding
        self._start: Message | None = None
        self._compressor: Compressor | None = None
        self._is_plain = False

    async def __call__(self, message: Message) -> None:
        if self._is_plain:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._body(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            await self._as_it_is()
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = MutableHeaders(raw=list(message["headers"]))
        can_be = _can_be_compressed(headers)
        if can_be:
            headers.add_vary_header("Accept-Encoding")
        self._start = {**message, "headers": headers.raw}
        has_body = message["status"] not in (204, 206, 304)
        if not can_be or self._coding is None or not has_body:
            await self._as_it_is()

    async def _as_it_is(self) -> None:
        self._is_plain = True
        if self._start is not None:
            await self._send(self._start)
            self._start = None

    async def _body(self, body: bytes, has_more: bool) -> None:
        if self._compressor is None:
            if not has_more and len(body) < SMALLEST:
                await self._as_it_is()
                await self._send({"type": "http.response.body", "body": body})
                return
            await self._start_compressed(is_whole=not has_more)
        if self._start is not None:  # the only piece: its length is known
            body = await self._compressed(body, has_more=False)
            MutableHeaders(raw=self._start["headers"])["Content-Length"] = str(len(body))
            await self._send(self._start)
            self._start = None
        else:
            body = await self._compressed(body, has_more)
        await self._send({"type": "http.response.body", "body": body, "more_body": has_more})

    async def _start_compressed(self, *, is_whole: bool) -> None:
        assert self._start is not None and self._coding is not None  # noqa: S101, PT018 - not plain
        headers = MutableHeaders(raw=self._start["headers"])
        headers["Content-Encoding"] = self._coding
        del headers["Content-Length"]
        tag = headers.get("ETag")
        if tag is not None and not tag.startswith("W/"):
            # Other bytes, the same content: RFC 9110, section 8.8.1.
            headers["ETag"] = f"W/{tag}"
        self._compressor = _CODINGS[self._coding][0]()
        if not is_whole:
            await self._send(self._start)
            self._start = None

    async def _compressed(self, body: bytes, has_more: bool) -> bytes:
        if len(body) < BESIDE:
            return self._work(body, has_more)
        return await asyncio.to_thread(self._work, body, has_more)

    def _work(self, body: bytes, has_more: bool) -> bytes:
        assert self._compressor is not None and self._coding is not None  # noqa: S101, PT018
        _, piece, end = _CODINGS[self._coding]
        # Each piece is flushed: a reader of a slow answer sees what there is.
        return self._compressor.compress(body) + self._compressor.flush(piece if has_more else end)


def _can_be_compressed(headers: Headers) -> bool:
    if "content-encoding" in headers or "no-transform" in headers.get("cache-control", ""):
        return False
    return _TYPES.match(headers.get("content-type", "").lower()) is not None
