"""Faults 30 to 33: what a source may do to us before we stop listening."""

from __future__ import annotations

import asyncio
import gzip
import resource
import time
import zlib
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
import stamina
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock
from emdata.errors import (
    ResponseTooLarge,
    SourceRefused,
    SourceThrottled,
    SourceUnavailable,
)
from scrapers.httpdate import MAX_RETRY_AFTER, retry_after_seconds
from tests.scrapers.raw_server import Exchange, client, raw_server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9999999999", MAX_RETRY_AFTER),
        ("9" * 64, MAX_RETRY_AFTER),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("-5", None),
        ("abc", None),
        ("", None),
        ("1.5", None),
        (None, None),
        ("١٢", None),
    ],
)
def test_fault_30_retry_after_is_read_in_all_its_forms(
    text: str | None, expected: float | None
) -> None:
    assert retry_after_seconds(text, NOW) == expected


@given(st.text(max_size=80))
def test_fault_30_retry_after_never_raises_and_stays_within_the_cap(text: str) -> None:
    found = retry_after_seconds(text, NOW)
    assert found is None or 0.0 <= found <= MAX_RETRY_AFTER


@given(st.integers(min_value=-100_000, max_value=100_000))
def test_fault_30_an_http_date_is_as_far_away_as_it_says(seconds: int) -> None:
    at = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)
    found = retry_after_seconds(format_datetime(at, usegmt=True), NOW)
    assert found == min(max(float(seconds), 0.0), MAX_RETRY_AFTER)


@pytest.mark.parametrize("status", [429, 503])
async def test_fault_30_only_the_host_that_asked_for_it_rests(status: int) -> None:
    clock = ManualClock(NOW)

    async def busy(exchange: Exchange) -> None:
        await exchange.answer(status, headers=(("Retry-After", "100"),))

    async def well(exchange: Exchange) -> None:
        await exchange.answer(200, b"well")

    async with raw_server(busy) as first, raw_server(well) as second:
        http = client(first.port, second.port, clock=clock)
        async with http:
            with pytest.raises(SourceThrottled) as caught:
                await http.get(f"{first.base}/x")
            assert caught.value.retry_after == 100.0
            with pytest.raises(SourceThrottled):
                await http.get(f"{first.base}/x")
            assert len(first.seen) == 1, "a resting host must not be asked"
            other = await http.get(f"http://localhost:{second.port}/")
            assert other.body == b"well"
            clock.advance(101)
            with pytest.raises(SourceThrottled):
                await http.get(f"{first.base}/x")
            assert len(first.seen) == 2


@pytest.mark.parametrize("text", ["abc", "-1", ""])
async def test_fault_30_a_429_without_a_usable_time_rests_for_the_default(text: str) -> None:
    clock = ManualClock(NOW)

    async def busy(exchange: Exchange) -> None:
        await exchange.answer(429, headers=(("Retry-After", text),))

    async with raw_server(busy) as server, client(server.port, clock=clock) as http:
        with pytest.raises(SourceThrottled):
            await http.get(server.base)
        assert http.rests_for("127.0.0.1") == 30.0


async def test_a_5xx_is_tried_again_and_a_4xx_is_not() -> None:
    answers = [500, 502, 200, 404]

    async def moody(exchange: Exchange) -> None:
        await exchange.answer(answers.pop(0), b"body")

    async with raw_server(moody) as server, client(server.port, attempts=3) as http:
        with stamina.set_testing(True, attempts=3):
            assert (await http.get(server.base)).body == b"body"
        assert len(server.seen) == 3
        with pytest.raises(SourceRefused):
            await http.get(server.base)
        assert len(server.seen) == 4


async def test_fault_31_a_slow_source_meets_the_total_deadline_and_others_go_on() -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.05)

    async def well(exchange: Exchange) -> None:
        await exchange.answer(200, b"well")

    async with (
        raw_server(drip) as slow,
        raw_server(well) as quick,
        client(slow.port, quick.port) as http,
    ):
        started = time.monotonic()
        waiting = asyncio.create_task(http.get(slow.base, total_timeout=1.0))
        other = await http.get(f"http://localhost:{quick.port}/")
        assert other.body == b"well"
        assert not waiting.done(), "the quick source must not wait for the slow one"
        with pytest.raises(SourceUnavailable, match="no whole answer within 1 s"):
            await waiting
        assert time.monotonic() - started < 10


async def _endless_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.send(b"X-Filler: " + b"y" * 4000 + b"\r\n")


async def _endless_chunks(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"z" * 65536 + b"\r\n"
    while True:
        await exchange.send(chunk)


async def _endless_without_length(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        await exchange.send(b"z" * 65536)


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (_endless_headers, SourceUnavailable),
        (_endless_chunks, ResponseTooLarge),
        (_endless_without_length, ResponseTooLarge),
    ],
)
async def test_fault_31_what_never_ends_is_cut(handler: Any, error: type[Exception]) -> None:
    async with raw_server(handler) as server, client(server.port) as http:
        with pytest.raises(error):
            await http.get(server.base, max_bytes=MEBIBYTE, total_timeout=20.0)


async def test_fault_32_ten_gigabytes_stop_at_the_cap_and_memory_does_not_follow() -> None:
    async def huge(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        while True:
            await exchange.send(b"z" * MEBIBYTE)

    cap = 32 * MEBIBYTE
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with raw_server(huge) as server, client(server.port) as http:
        with pytest.raises(ResponseTooLarge, match=str(cap)):
            await http.get(server.base, max_bytes=cap)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 2 * cap + 32 * MEBIBYTE, "beyond twice the cap and the server's own buffers"


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
async def test_fault_32_a_body_shorter_than_it_says_is_no_answer(encoding: str) -> None:
    body = {
        "": b"[1,2,3",
        "gzip": gzip.compress(b"[1,2,3]" * 1000)[:-20],
        "zstd": zstandard.compress(b"[1,2,3]" * 1000)[:-5],
    }[encoding]

    async def short(exchange: Exchange) -> None:
        headers = (("Content-Length", str(len(body) + 50)), ("Content-Encoding", encoding))
        await exchange.answer(200, body, headers)

    async with raw_server(short) as server, client(server.port) as http:
        with pytest.raises(SourceUnavailable):
            await http.get(server.base)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_fault_32_a_compressed_body_that_is_cut_off_is_no_answer(encoding: str) -> None:
    whole = {
        "gzip": gzip.compress(b"[1,2,3]" * 1000),
        "deflate": zlib.compress(b"[1,2,3]" * 1000),
        "zstd": zstandard.compress(b"[1,2,3]" * 1000),
    }[encoding]

    async def cut(exchange: Exchange) -> None:
        await exchange.answer(200, whole[:-6], (("Content-Encoding", encoding),))

    async with raw_server(cut) as server, client(server.port) as http:
        with pytest.raises(SourceUnavailable, match="cut off"):
            await http.get(server.base)


def _bomb(encoding: str) -> bytes:
    """About 10 MB that become 10 GB as gzip, and less of the kinds that take longer to make."""
    if encoding == "gzip":
        return gzip.compress(bytes(16 * MEBIBYTE), 9) * 640
    piece = bytes(MEBIBYTE)
    if encoding == "zstd":
        maker: Any = zstandard.ZstdCompressor(level=3).compressobj()
        return b"".join([maker.compress(piece) for _ in range(512)] + [maker.flush()])
    maker = zlib.compressobj(1)
    return b"".join([maker.compress(piece) for _ in range(128)] + [maker.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_fault_33_a_bomb_is_capped_while_it_inflates(encoding: str) -> None:
    bomb = _bomb(encoding)

    async def explode(exchange: Exchange) -> None:
        await exchange.answer(200, bomb, (("Content-Encoding", encoding),))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with raw_server(explode) as server, client(server.port) as http:
        with pytest.raises(ResponseTooLarge):
            await http.get(server.base, max_bytes=16 * MEBIBYTE)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 200 * MEBIBYTE


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress"])
async def test_fault_33_an_encoding_that_was_not_asked_for_is_not_decoded(encoding: str) -> None:
    async def other(exchange: Exchange) -> None:
        assert "br" not in exchange.headers["accept-encoding"]
        await exchange.answer(200, b"\x0b\x02\x80", (("Content-Encoding", encoding),))

    async with raw_server(other) as server, client(server.port) as http:
        with pytest.raises(SourceUnavailable, match="not asked for"):
            await http.get(server.base)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "deflate", "zstd"])
async def test_every_encoding_that_is_asked_for_is_understood(encoding: str) -> None:
    text = b'[{"a":1}]' * 100_000
    packed = {
        "gzip": gzip.compress(text[:500_000]) + gzip.compress(text[500_000:]),
        "deflate": zlib.compress(text),
        "zstd": zstandard.compress(text),
    }.get(encoding, text)

    async def pack(exchange: Exchange) -> None:
        await exchange.answer(200, packed, (("Content-Encoding", encoding),))

    async with raw_server(pack) as server, client(server.port) as http:
        assert (await http.get(server.base)).body == text


async def test_a_304_is_an_answer_without_a_body() -> None:
    async def same(exchange: Exchange) -> None:
        assert exchange.headers["if-none-match"] == '"a"'
        assert exchange.headers["if-modified-since"] == "Sat, 21 Nov 2026 11:00:00 GMT"
        await exchange.send(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nConnection: close\r\n\r\n')

    async with raw_server(same) as server, client(server.port) as http:
        answer = await http.get(
            server.base, etag='"a"', last_modified="Sat, 21 Nov 2026 11:00:00 GMT"
        )
    assert answer.not_modified
    assert answer.body == b""


async def test_one_limiter_holds_a_host_back_for_all_its_streams() -> None:
    async def well(exchange: Exchange) -> None:
        await exchange.answer(200, b"well")

    async with raw_server(well) as server, client(server.port) as http:
        http.limit("127.0.0.1", "20/s")
        http.limit("127.0.0.1", "10/s")
        http.limit("127.0.0.1", "50/s")
        started = time.monotonic()
        await asyncio.gather(*(http.get(f"{server.base}/{n}") for n in range(15)))
        # Ten at once, the other five at ten a second: the slowest rate that was asked for.
        assert time.monotonic() - started >= 0.4
