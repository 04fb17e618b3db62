"""Refusals at the door, on real connections: who gets one, and what goes on to the routes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from api.access.caller import Caller, Policy
from api.access.headers import SecurityHeaders
from api.fairness.fairness import Fairness
from api.fairness.layer import EarlyRefusal
from api.fairness.limiter import NoLimits
from api.fairness.networks import Networks
from api.fairness.slots import Slots
from api.problems import Problem
from api.serving.protocol import GuardedProtocol
from api.serving.refuser import REFUSER, Refuser
from api.usage.layer import RefusedCount, UsageLayer
from api.usage.ledger import Ledger
from emdata.clock import ManualClock

GREEDY, OTHER = b"X-API-Key: greedy", b"X-API-Key: other"
SECONDS = 0.5
Answer = tuple[int, dict[str, str], bytes]


class World:
    """A listening protocol before the layers that count and refuse, by a clock that stands still.

    One sender has nothing left. The route waits where its path says so.
    """

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))
        networks = Networks(self.clock)
        self.fairness = Fairness(NoLimits(), networks, Slots(10), self.clock)
        self.ledger, self.routed, self.go_on = Ledger("p"), list[str](), asyncio.Event()
        self.transports: list[asyncio.Transport] = []
        layers = [
            Middleware(
                UsageLayer, ledger=self.ledger, networks=networks, clock=self.clock
            ),
            Middleware(SecurityHeaders, is_https=True),
            Middleware(EarlyRefusal, fairness=self.fairness),
        ]  # fmt: skip
        app: ASGIApp = self.route
        for layer in reversed(layers):
            app = layer.cls(app, *layer.args, **layer.kwargs)
        self._config = Config(app, lifespan="off", log_config=None)
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"date", b"Sat, 21 Nov 2026 12:00:00 GMT")]
        count = RefusedCount(self.ledger, self.clock)
        self._shared = {REFUSER: Refuser(self.fairness, count, is_https=True)}

    async def route(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.routed.append(f"{scope['method']} {scope['path']}")
        if scope["path"] == "/slow":
            await self.go_on.wait()
        while (await receive()).get("more_body"):
            pass
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        )
        await send({"type": "http.response.body", "body": b"ok"})

    def protocol(self) -> GuardedProtocol:
        world = self

        class Small(GuardedProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                world.transports.append(transport)
                own: socket.socket = transport.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
                super().connection_made(transport)

        return Small(self._config, self._state, cast("dict[str, Any]", self._shared))

    def refuse(self) -> None:
        """Note that the greedy one has nothing left."""
        caller = Caller("greedy", "public", Policy("public"))
        scope: Scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-api-key", b"greedy")]}
        problem = Problem("too-many-requests", "wait", headers={"Retry-After": "1"})
        now = self.clock.monotonic()
        self.fairness.refusals.add(scope, problem, caller, now, SECONDS)


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, *lines: bytes, body: bytes = b"") -> None:
        self._writer.write(b"\r\n".join([*lines, b"Host: api", b"", b""]) + body)

    async def answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(one.split(": ", 1) for one in head[1:-2])
        has_body = "HEAD" not in self.method
        body = await self._reader.readexactly(int(headers["content-length"]) if has_body else 0)
        return int(head[0].split()[1]), headers, body

    method = "GET"

    async def ask(self, *lines: bytes, body: bytes = b"") -> Answer:
        self.send(*lines, body=body)
        self.method = lines[0].split()[0].decode()
        return await self.answer()

    async def is_closed(self) -> bool:
        return await self._reader.read(1) == b""

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def line(world: World) -> AsyncIterator[Line]:
    server = await asyncio.get_running_loop().create_server(world.protocol, "127.0.0.1", 0)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    client.connect(server.sockets[0].getsockname())
    made = Line(*await asyncio.open_connection(sock=client))
    yield made
    await made.close()
    server.close()
    await server.wait_closed()


async def test_who_has_nothing_left_is_answered_at_the_door_until_it_opens(
    world: World, line: Line
) -> None:
    assert (await line.ask(b"GET /a HTTP/1.1", GREEDY))[0] == 200
    world.refuse()
    status, headers, body = await line.ask(b"GET /b HTTP/1.1", GREEDY)
    assert (status, headers["retry-after"]) == (429, "1")
    assert b"/problems/too-many-requests" in body
    assert (await line.ask(b"GET /c HTTP/1.1", OTHER))[0] == 200
    world.clock.advance(SECONDS)
    assert (await line.ask(b"GET /d HTTP/1.1", GREEDY))[0] == 200
    assert world.routed == ["GET /a", "GET /c", "GET /d"]


async def test_the_door_and_the_layers_say_the_same(world: World, line: Line) -> None:
    world.refuse()
    door = await line.ask(b"GET /a HTTP/1.1", GREEDY)
    layers = await line.ask(b"GET /a HTTP/1.1", GREEDY, b"Content-Length: 1", body=b"x")
    assert door == layers
    assert door[1]["strict-transport-security"]
    assert door[1]["date"]
    assert world.routed == []


async def test_refusals_count_for_whose_they_are(world: World, line: Line) -> None:
    world.refuse()
    for _ in range(3):
        _, _, body = await line.ask(b"GET /a HTTP/1.1", GREEDY)
    await line.ask(b"HEAD /a HTTP/1.1", GREEDY)
    (counted,) = world.ledger.numbered()
    assert (counted.organization, counted.route, counted.status_class) == (
        "greedy", "refused", "4xx",
    )  # fmt: skip
    assert (counted.requests, counted.bytes_sent >= 3 * len(body)) == (4, True)


async def test_probes_are_answered_whoever_asks(world: World, line: Line) -> None:
    world.refuse()
    assert (await line.ask(b"GET /health HTTP/1.1", GREEDY))[0] == 200
    assert (await line.ask(b"GET /a HTTP/1.1", GREEDY))[0] == 429


async def test_an_answer_waits_for_those_before_it(world: World, line: Line) -> None:
    world.refuse()
    line.send(b"GET /slow HTTP/1.1", OTHER)
    line.send(b"GET /a HTTP/1.1", GREEDY)
    line.send(b"GET /b HTTP/1.1", OTHER)
    while not world.routed:
        await asyncio.sleep(0)
    world.go_on.set()
    assert [(await line.answer())[0] for _ in range(3)] == [200, 429, 200]


@pytest.mark.parametrize(
    "lines", [[b"GET /a HTTP/1.0"], [b"GET /a HTTP/1.1", b"Connection: close"]]
)
async def test_a_connection_ends_where_its_client_ends_it(
    world: World, line: Line, lines: list[bytes]
) -> None:
    world.refuse()
    status, headers, _ = await line.ask(*lines, GREEDY)
    assert (status, headers["connection"]) == (429, "close")
    assert await line.is_closed()


async def test_fault_50_who_does_not_read_refusals_fills_no_memory(
    world: World, line: Line
) -> None:
    world.refuse()
    count = 800
    for _ in range(count):
        line.send(b"GET /a HTTP/1.1", GREEDY)
    (transport,) = world.transports
    sizes = []
    for _ in range(200):
        await asyncio.sleep(0)
        sizes.append(transport.get_write_buffer_size())
    assert 0 < max(sizes) < 256 << 10
    statuses = [(await line.answer())[0] for _ in range(count)]
    assert statuses == [429] * count
