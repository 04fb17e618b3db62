"""Compression: who gets it, that it can be read again, and that it holds nothing back."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from starlette.types import Message

from api.formats.compression import SMALLEST, Compression, coding_of

LONG = b"abcdefgh " * 1000


class Sent:
    """What a client got."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.start, *bodies = messages
        self.pieces = [one["body"] for one in bodies]
        self.headers = {
            name.decode().lower(): value.decode() for name, value in self.start["headers"]
        }

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def plain(self) -> bytes:
        return _plain(self.headers.get("content-encoding"), self.body)


def _plain(coding: str | None, body: bytes) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read()
    return gzip.decompress(body) if coding == "gzip" else body


def _answer(
    pieces: Sequence[bytes],
    accept: str | None,
    *,
    kind: str = "application/json",
    status: int = 200,
    **headers: str,
) -> Sent:
    given = {
        "content-type": kind,
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raw = [(name.encode(), text.encode()) for name, text in given.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    raw = [] if accept is None else [(b"accept-encoding", accept.encode())]
    scope = {"type": "http", "method": "GET", "headers": raw}
    asyncio.run(Compression(app)(scope, receive, send))
    return Sent(messages)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("br", None),
        ("gzip;q=nonsense", None),
        ("xgzip", None),
        ("", None),
    ],
)
def test_codings_are_chosen_by_their_qualities(accept: str, coding: str | None) -> None:
    assert coding_of(accept) == coding


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_answer_at_once_is_compressed_with_its_new_length(coding: str) -> None:
    sent = _answer([LONG], coding, content_length=str(len(LONG)), etag='"v1"')
    assert sent.plain() == LONG
    assert sent.headers["content-length"] == str(len(sent.body))
    assert sent.headers["vary"] == "Accept-Encoding"
    assert sent.headers["etag"] == 'W/"v1"'
    assert len(sent.body) < len(LONG) / 5


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_every_piece_of_a_slow_answer_arrives_when_it_is_sent(coding: str) -> None:
    pieces = [b"first", b"", b"second", b"third"]
    sent = _answer(pieces, coding)
    assert sent.plain() == b"firstsecondthird"
    assert "content-length" not in sent.headers
    read = b""
    reader: Any = (
        zlib.decompressobj(16 + zlib.MAX_WBITS)
        if coding == "gzip"
        else zstandard.ZstdDecompressor().decompressobj()
    )
    for piece, compressed in zip(pieces[:-1], sent.pieces[:-1], strict=True):
        got = reader.decompress(compressed)
        assert got == piece
        read += got
    assert read == b"firstsecond"


def test_large_pieces_are_compressed_beside_the_event_loop_and_come_back() -> None:
    large = os.urandom(1 << 20)
    assert _answer([large, large], "zstd").plain() == large + large


@pytest.mark.parametrize(
    "kind",
    [
        "text/event-stream",
        "application/vnd.apache.parquet",
        "application/gzip",
        "image/png",
        "application/octet-stream",
    ],
)
def test_events_and_what_is_compressed_already_go_as_they_are(kind: str) -> None:
    sent = _answer([LONG, LONG], "gzip", kind=kind)
    assert sent.pieces == [LONG, LONG]
    assert "content-encoding" not in sent.headers
    assert "vary" not in sent.headers


@pytest.mark.parametrize(
    "kind",
    [
        "application/geo+json",
        "application/problem+json",
        "application/cap+xml",
        "application/x-ndjson",
        "text/csv; charset=utf-8",
        "text/html",
        "application/vnd.apache.arrow.stream",
        "image/svg+xml",
    ],
)
def test_text_and_its_like_are_compressed(kind: str) -> None:
    assert _answer([LONG], "gzip", kind=kind).headers["content-encoding"] == "gzip"


def test_a_cache_is_told_although_this_caller_takes_no_compression() -> None:
    sent = _answer([LONG], None, vary="Accept")
    assert sent.body == LONG
    assert sent.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (200, {"content_encoding": "br"}),
        (200, {"cache_control": "no-transform"}),
    ],
)
def test_what_must_not_be_changed_is_not(status: int, headers: dict[str, str]) -> None:
    sent = _answer([LONG], "gzip", status=status, **headers)
    assert sent.body == LONG
    assert sent.headers.get("content-encoding") == headers.get("content_encoding")


def test_a_small_answer_is_not_worth_it() -> None:
    assert _answer([b"x" * (SMALLEST - 1)], "gzip").body == b"x" * (SMALLEST - 1)
    assert "content-encoding" in _answer([b"x" * SMALLEST], "gzip").headers


def test_an_answer_that_breaks_leaves_a_stream_that_no_reader_takes_for_whole() -> None:
    sent = _answer([LONG, b"end"], "gzip")
    with pytest.raises(EOFError):
        gzip.decompress(sent.pieces[0])
