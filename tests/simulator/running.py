"""A simulator for tests: called directly, or on a real socket with a plain client."""

from __future__ import annotations

import asyncio
import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec
import uvicorn
from starlette.types import ASGIApp, Message

from emdata.clock import ManualClock
from simulator.server import build, server_config
from tests.support.waiting import wait_for

AGENT = {"User-Agent": "emdata-tests (tests@example.org)"}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer as received; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Decode the body."""
        return msgspec.json.decode(self.body)


class Simulator(ABC):
    """A simulator and the manual clock that stands for real time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    @abstractmethod
    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Reply:
        """Send one request."""

    def get(
        self,
        host_and_path: str,
        parameters: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Reply:
        """GET ``<HOST>/<path>`` with query parameters."""
        query = "?" + urlencode(parameters, quote_via=quote) if parameters else ""
        return self.send("GET", f"/{host_and_path}{query}", None, headers, timeout)

    def post(self, path: str, body: object) -> Reply:
        """POST JSON to ``/_simulator/<path>``."""
        return self.send("POST", f"/_simulator/{path}", msgspec.json.encode(body))

    def mutate(self, **body: object) -> Any:
        """Apply a mutation and return what changed."""
        reply = self.post("mutations", body)
        assert reply.status == 200, reply.body
        return reply.json()["changed"]

    def advance(self, seconds: float) -> None:
        """Move simulated time forward."""
        assert self.post("clock", {"advance_seconds": seconds}).status == 200

    def ledger(self, dataset: str) -> list[dict[str, Any]]:
        """Return all versions of a dataset."""
        reply = self.get(f"_simulator/ledger/{dataset}")
        return [msgspec.json.decode(line) for line in reply.body.splitlines()]


class Called(Simulator):
    """A simulator whose application is called directly, without a socket."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner, clock: ManualClock) -> None:
        super().__init__(clock)
        self._app, self._runner = app, runner

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Reply:
        """Call the application once."""
        return self._runner.run(
            self._call(method, target, body or b"", {**AGENT, **(headers or {})})
        )

    async def _call(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": method, "path": unquote(path), "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        messages: list[Message] = []
        requests = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            request = next(requests, None)
            return request if request is not None else await asyncio.Future()

        async def send(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start, *parts = messages
        found = {k.decode(): v.decode() for k, v in start["headers"]}
        return Reply(start["status"], found, b"".join(part.get("body", b"") for part in parts))


class Served(Simulator):
    """A simulator that listens on ``port``."""

    def __init__(self, port: int, clock: ManualClock) -> None:
        super().__init__(clock)
        self.port = port

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Reply:
        """Send one request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, target, body, {**AGENT, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)


@contextmanager
def simulator(
    directory: Path,
    *,
    seed: int = 1,
    speed: float = 1.0,
    clock: ManualClock | None = None,
    fixtures: Path | None = None,
) -> Iterator[Called]:
    """Build the world in ``directory`` and call it directly."""
    manual = clock or ManualClock()
    nothing = directory / "no-fixtures"
    app = build(directory, seed=seed, speed=speed, clock=manual, fixtures=fixtures or nothing)
    with asyncio.Runner() as runner:
        yield Called(app, runner, manual)


@contextmanager
def served_simulator(directory: Path) -> Iterator[Served]:
    """Serve the world in ``directory`` on a free port, from a thread of the test."""
    manual = ManualClock()
    app = build(directory, seed=1, speed=1.0, clock=manual, fixtures=directory / "no-fixtures")
    server = uvicorn.Server(server_config(app, 0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the simulator to listen")
        yield Served(server.servers[0].sockets[0].getsockname()[1], manual)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
