"""Exports: what is held, what a slow reader costs, and that a cut file is never whole."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from starlette.datastructures import Headers

from api.formats.answer import streamed
from api.formats.negotiate import formats_of
from api.formats.ranges import Part, part_of
from tests.api.formats.making import POSTS, ROWS, document, form, written

STREAMED = [one.name for one in formats_of(POSTS, is_export=True)]


async def _batches(*batches: Sequence[Any], error: Exception | None = None) -> AsyncIterator[Any]:
    for batch in batches:
        yield batch
    if error is not None:
        raise error


def _sent(name: str, *batches: Sequence[Any], error: Exception | None = None) -> bytes:
    """What a client has got when the answer ended; an error of the answer is kept silent."""

    async def run() -> bytes:
        got = b""
        try:
            source = _batches(*batches, error=error)
            async for piece in streamed(form(name), document(), source):
                got += piece
        except ConnectionError:
            assert error is not None
        else:
            assert error is None, "an error ended as if all had been sent"
        return got

    return asyncio.run(run())


@pytest.mark.parametrize("name", ["geojson", "json", "ndjson", "csv"])
def test_an_export_is_the_document_in_pieces(name: str) -> None:
    assert _sent(name, ROWS[:1], ROWS[1:]) == written(name)


@pytest.mark.parametrize("name", STREAMED)
def test_an_export_that_breaks_is_read_by_nobody_as_whole(name: str) -> None:
    got = _sent(name, ROWS, ROWS, error=ConnectionError("StarRocks went away"))
    with pytest.raises((ValueError, csv.Error, pl.exceptions.PolarsError, pa.ArrowException)):
        _read_strictly(name, got)


def _read_strictly(name: str, body: bytes) -> None:
    if name == "ndjson":
        for line in body.splitlines():
            json.loads(line)
    elif name == "csv":
        list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    elif name.endswith("parquet"):
        pl.read_parquet(io.BytesIO(body))
    elif name == "arrow":
        pa.ipc.open_stream(body).read_all()
    else:
        json.loads(body)


def test_the_broken_csv_is_refused_by_polars_too() -> None:
    got = _sent("csv", ROWS, error=ConnectionError("away"))
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_csv(io.BytesIO(got))


def test_a_slow_reader_makes_no_rows_pile_up() -> None:
    read = 0

    async def source() -> AsyncIterator[Any]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield ROWS

    async def run() -> None:
        async with aclosing(streamed(form("ndjson"), document(), source())) as pieces:  # type: ignore[type-var]
            taken = 0
            async for _ in pieces:
                taken += 1
                assert read <= taken + 2
                if taken == 10:
                    break

    asyncio.run(run())
    assert read <= 12


def test_a_reader_that_leaves_ends_the_reading_from_starrocks() -> None:
    is_closed = False

    async def source() -> AsyncIterator[Any]:
        nonlocal is_closed
        try:
            while True:
                yield ROWS
        finally:
            is_closed = True

    async def run() -> None:
        async with aclosing(streamed(form("csv"), document(), source())) as pieces:  # type: ignore[type-var]
            await anext(pieces)
            await anext(pieces)

    asyncio.run(run())
    assert is_closed


TAG = '"abc"'


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({}, Part(200, 0, 100)),
        ({"range": "bytes=0-9"}, Part(206, 0, 10)),
        ({"range": "bytes=90-"}, Part(206, 90, 100)),
        ({"range": "bytes=90-1000"}, Part(206, 90, 100)),
        ({"range": "bytes=-10"}, Part(206, 90, 100)),
        ({"range": "bytes=-1000"}, Part(206, 0, 100)),
        ({"range": "bytes=100-"}, Part(416, 0, 0)),
        ({"range": "bytes=-0"}, Part(416, 0, 0)),
        ({"range": "bytes=9-0"}, Part(200, 0, 100)),
        ({"range": "bytes=-"}, Part(200, 0, 100)),
        ({"range": "bytes=0-1,5-6"}, Part(200, 0, 100)),
        ({"range": "lines=0-1"}, Part(200, 0, 100)),
        ({"range": "bytes=a-b"}, Part(200, 0, 100)),
        ({"range": f"bytes={'9' * 5000}-"}, Part(200, 0, 100)),
        ({"range": "bytes=0-9", "if-range": TAG}, Part(206, 0, 10)),
        ({"range": "bytes=0-9", "if-range": '"other"'}, Part(200, 0, 100)),
        ({"range": "bytes=0-9", "if-range": f"W/{TAG}"}, Part(200, 0, 100)),
        ({"if-none-match": TAG}, Part(304, 0, 0)),
        ({"if-none-match": f'"x", W/{TAG}'}, Part(304, 0, 0)),
        ({"if-none-match": "*"}, Part(304, 0, 0)),
        ({"if-none-match": '"x"', "range": "bytes=0-0"}, Part(206, 0, 1)),
    ],
)
def test_ranges_and_conditions_are_read_as_rfc_9110_has_them(
    headers: dict[str, str], part: Part
) -> None:
    assert part_of(Headers(headers), 100, TAG) == part
