"""The layers around the routes: who is refused, how it is said, and what is freed when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.caller import Caller, Policy, anonymous
from api.fairness.fairness import Fairness
from api.fairness.layer import EarlyRefusal, FairnessLayer
from api.fairness.limiter import Limiter
from api.fairness.networks import Networks
from api.fairness.slots import Slots
from emdata.clock import ManualClock
from tests.api.fairness.memory_store import MemoryStore

POLICY = Policy("public", requests_per_minute=6, burst=3, requests_per_day=1000, concurrent=2)


class Known:
    """Stands for the identity layer: the key's text is the organization; counts its work."""

    def __init__(self, app: ASGIApp, asked: list[str]) -> None:
        self._app, self._asked = app, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            given = dict(scope["headers"]).get(b"x-api-key", b"").decode()
            self._asked.append(given)
            known = Caller(given, "public", POLICY) if given else anonymous(POLICY)
            scope.setdefault("state", {})["caller"] = known
        await self._app(scope, receive, send)


class World:
    """An application behind the layers, by a clock that stands still."""

    def __init__(self) -> None:
        self.clock, self.asked = ManualClock(), list[str]()
        self.store = MemoryStore(self.clock)
        networks = Networks(self.clock)
        limiter = Limiter(self.store, networks, self.clock)
        self.fairness = Fairness(limiter, networks, Slots(10), self.clock)
        self.go_on, self.begun = asyncio.Event(), asyncio.Event()
        routes = [Route(f"/{one.__name__}", one) for one in (self.plain, self.slow, self.events)]
        self.app = Starlette(
            routes=[*routes, Route("/health", self.plain)],
            middleware=[
                Middleware(EarlyRefusal, fairness=self.fairness),
                Middleware(Known, asked=self.asked),
                Middleware(FairnessLayer, fairness=self.fairness),
            ],
        )

    async def plain(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("here")

    async def slow(self, _request: Request) -> PlainTextResponse:
        await self.go_on.wait()
        return PlainTextResponse("at last")

    async def events(self, _request: Request) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            self.begun.set()
            yield "data: 1\n\n"
            await self.go_on.wait()

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def ask(self, path: str = "/plain", key: str = "", address: str = "192.0.2.1") -> Answer:
        transport = httpx2.ASGITransport(self.app, client=(address, 1))
        headers = {"X-API-Key": key} if key else {}
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers=headers)

    async def statuses(self, count: int, **asked: str) -> Sequence[int]:
        return [(await self.ask(**asked)).status_code for _ in range(count)]


Answer = httpx2.Response


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.fairness.limiter.start()
    yield made
    await made.fairness.limiter.stop()


async def test_every_answer_says_what_is_left(world: World) -> None:
    answer = await world.ask()
    assert answer.headers["RateLimit-Policy"] == '"minute";q=6;w=60, "day";q=1000;w=86400'
    assert answer.headers["RateLimit"] == '"minute";r=2;t=10, "day";r=999;t=3600'
    assert "X-RateLimit-Limit" not in answer.headers


async def test_who_has_used_the_limit_is_told_which_and_how_long(world: World) -> None:
    assert await world.statuses(4) == [200, 200, 200, 429]
    refused = await world.ask()
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["Retry-After"] == "10"
    body = refused.json()
    assert body["type"] == "/problems/too-many-requests"
    assert (body["limit"], body["retryAfter"]) == ("minute", 10)
    assert "6 requests a minute, 3 at once" in body["detail"]
    assert "with a key" in body["detail"]
    world.clock.advance(10)
    assert await world.statuses(2) == [200, 429]


async def test_limits_are_an_organizations_and_of_nobody_a_networks(world: World) -> None:
    assert await world.statuses(4, key="one") == [200, 200, 200, 429]
    assert await world.statuses(1, key="two") == [200]
    assert await world.statuses(3, address="192.0.2.1") == [200] * 3
    assert await world.statuses(1, address="192.0.2.99") == [429], "the same network"
    assert await world.statuses(1, address="198.51.100.1") == [200]
    assert await world.statuses(1, key="one", address="198.51.100.2") == [429]


async def test_a_flood_is_refused_before_anybody_asks_who_it_is(world: World) -> None:
    await world.statuses(4, key="flood")
    asked = len(world.asked)
    assert set(await world.statuses(50, key="flood")) == {429}
    assert len(world.asked) == asked
    assert await world.statuses(1, key="other") == [200]
    world.clock.advance(1.0)
    assert await world.statuses(1, key="flood") == [429]
    assert len(world.asked) == asked + 2, "after a second who asks is looked at again"


async def test_probes_cost_nothing(world: World) -> None:
    assert await world.statuses(4) == [200, 200, 200, 429]
    assert await world.statuses(5, path="/health") == [200] * 5


async def test_requests_at_once_are_capped_and_some_may_wait(world: World) -> None:
    policy = Policy("public", requests_per_minute=600, burst=100, concurrent=2)
    world.fairness.slots = Slots(10)
    layer = FairnessLayer(world.app.router, world.fairness)

    async def ask() -> int:
        scope: Scope = {
            "type": "http", "path": "/slow", "method": "GET", "headers": [], "query_string": b"",
            "client": ("192.0.2.1", 1), "state": {"caller": Caller("o", "public", policy)},
            "root_path": "", "http_version": "1.1", "scheme": "http", "server": ("api", 80),
        }  # fmt: skip
        found: list[int] = []

        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            return {}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                found.append(int(str(message["status"])))

        await layer(scope, receive, send)
        return found[0]

    tasks = [asyncio.create_task(ask()) for _ in range(5)]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=1)
    assert [task.result() for task in done] == [429]
    world.go_on.set()
    assert [await task for task in waiting] == [200] * 4


async def test_an_event_stream_holds_no_slot(world: World) -> None:
    slots = world.fairness.slots
    transport = httpx2.ASGITransport(world.app, client=("192.0.2.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        task = asyncio.create_task(client.get("/events"))
        await asyncio.wait_for(world.begun.wait(), 5)
        assert (slots._held, slots._working) == ({}, 0)
        world.go_on.set()
        assert (await task).status_code == 200
    assert (slots._held, slots._working) == ({}, 0)


async def test_a_request_that_fails_gives_its_slot_back(world: World) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("a fault of ours")

    layer = FairnessLayer(broken, world.fairness)
    scope: Scope = {"type": "http", "path": "/x", "headers": [], "client": ("192.0.2.1", 1)}
    with pytest.raises(ValueError, match="of ours"):
        await layer(scope, None, None)  # type: ignore[arg-type]
    assert world.fairness.slots._held == {}


async def test_a_websocket_beyond_the_limit_is_refused_in_its_handshake(world: World) -> None:
    await world.statuses(4, key="one")
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    scope: Scope = {
        "type": "websocket", "path": "/plain", "headers": [(b"x-api-key", b"one")],
        "client": ("192.0.2.1", 1), "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    await world.app(scope, receive, send)
    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 429
    del scope["extensions"], scope["state"]
    sent.clear()
    await world.app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
