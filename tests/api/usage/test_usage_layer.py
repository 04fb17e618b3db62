"""What is counted and logged of a request, and what never is (rows 41 and 42)."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.caller import Caller, Policy
from api.fairness.networks import Networks
from api.usage.access_log import AccessLog, line_of
from api.usage.layer import UsageLayer
from api.usage.ledger import Ledger
from api.usage.notes import note
from emdata.clock import ManualClock
from emdata.contracts.api_usage import ApiUsage

CANARY = "emdata_canary42_thisIsASecretThatNobodyMayLog"
NASTY = '\r\n\x1b[31m{"event":"forged"}\u2028\u2029\x85'


class Named:
    """Stands for the identity layer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            key = dict(scope["headers"]).get(b"x-api-key")
            if key is not None:
                caller = Caller("acme" + NASTY, "public", Policy("public"), key_id="abc")
                scope["state"]["caller"] = caller
        await self._app(scope, receive, send)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC))
        self.ledger, self.out = Ledger("p"), io.StringIO()
        self.log = AccessLog(self.out)
        self.app = FastAPI(
            middleware=[
                Middleware(
                    UsageLayer,
                    ledger=self.ledger,
                    networks=Networks(self.clock),
                    clock=self.clock,
                    access_log=self.log,
                ),
                Middleware(Named),
            ]
        )
        self.app.get("/collections/{collection_id}/items")(items)
        self.app.get("/rows")(rows)
        self.app.get("/broken")(broken)
        self.app.get("/health")(health)

    async def ask(self, path: str, **headers: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(
            self.app, client=("203.0.113.77", 1), raise_app_exceptions=False
        )
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers=headers)

    def lines(self) -> list[ApiUsage]:
        return self.ledger.numbered()

    async def logged(self) -> list[dict[str, Any]]:
        await self.log.stop()
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


async def items(collection_id: str, request: Request) -> Response:
    if collection_id != "known":
        return Response(b"{}", 404, media_type="application/problem+json")
    note(request, rows=3)
    return Response(b"12345", media_type="application/geo+json; charset=utf-8")


async def rows(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            note(request, rows=10, collection="streamed", format="special")
            yield b"x" * 100

    return StreamingResponse(parts(), media_type="text/csv")


async def broken() -> None:
    raise ValueError("a fault of ours")


async def health() -> dict[str, str]:
    return {}


@pytest.fixture
def world() -> World:
    return World()


async def test_a_request_is_counted_with_what_it_was_answered(world: World) -> None:
    for _ in range(2):
        assert (await world.ask("/collections/known/items")).status_code == 200
    (line,) = world.lines()
    assert (line.organization, line.collection, line.format) == ("anonymous", "known", "geojson")
    assert (line.requests, line.rows_sent, line.bytes_sent) == (2, 6, 10)
    assert line.status_class == "2xx"
    assert line.route == "/collections/{collection_id}/items"
    assert line.counted_from == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert 0 < line.seconds_max <= line.seconds_total


async def test_a_stream_says_its_rows_as_they_go(world: World) -> None:
    await world.ask("/rows")
    (line,) = world.lines()
    assert (line.rows_sent, line.bytes_sent) == (40, 400)
    assert (line.collection, line.format) == ("streamed", "special")


async def test_names_that_callers_invent_do_not_become_lines(world: World) -> None:
    for number in range(20):
        await world.ask(f"/collections/{CANARY}{number}/items")
        await world.ask(f"/nowhere/{CANARY}{number}")
    assert {(line.collection, line.route) for line in world.lines()} == {
        ("none", "/collections/{collection_id}/items"),
        ("none", "unmatched"),
    }


async def test_a_fault_of_ours_is_counted_as_one(world: World) -> None:
    assert (await world.ask("/broken")).status_code == 500
    (line,) = world.lines()
    assert (line.status_class, line.requests) == ("5xx", 1)


async def test_our_own_probes_are_not_usage(world: World) -> None:
    await world.ask("/health")
    assert world.lines() == []
    assert await world.logged() == []


async def test_fault_42_a_request_is_one_line_without_secrets_and_addresses(world: World) -> None:
    path = f"/collections/{CANARY}%0D%0A%E2%80%A8/items?token={CANARY}&bbox=%1b[31m"
    await world.ask(path, **{"X-API-Key": CANARY, "Authorization": f"Bearer {CANARY}",
                             "User-Agent": CANARY, "Cookie": CANARY})  # fmt: skip
    await world.ask("/collections/known/items")
    text = world.out.getvalue()
    assert text == "", "lines are written together"
    first, second = await world.logged()
    text = world.out.getvalue()
    assert text.isascii()
    assert text.count("\n") == 2
    assert CANARY not in text
    assert "203.0.113" not in text
    assert first["organization"] == "acme" + NASTY
    assert (first["key"], first["status"], first["event"]) == ("abc", 404, "api_request")
    assert second == {
        "event": "api_request", "level": "info", "logger": "api.access", "service": "api",
        "at": "2026-11-21T12:00:30Z", "method": "GET",
        "route": "/collections/{collection_id}/items", "status": 200,
        "organization": "anonymous", "key": None, "collection": "known", "format": "geojson",
        "rows": 3, "bytes": 5, "ms": second["ms"], "client": first["client"],
    }  # fmt: skip


async def test_the_name_of_a_network_ends_with_its_day(world: World) -> None:
    await world.ask("/collections/known/items")
    world.clock.jump_wall(86_400)
    await world.ask("/collections/known/items")
    first, second = await world.logged()
    assert first["client"] != second["client"]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=50) | st.integers() | st.none()))
def test_fault_42_whatever_a_value_holds_a_line_stays_a_line(event: dict[str, Any]) -> None:
    line = line_of(event)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == event
