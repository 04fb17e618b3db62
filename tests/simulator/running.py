"""A simulator on a real socket, in a thread of the test, with a plain client."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import uvicorn

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


@dataclass
class Simulator:
    """A running simulator and the manual clock that stands for real time."""

    port: int
    clock: ManualClock

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
) -> Iterator[Simulator]:
    """Serve the world in ``directory`` on a free port until the block ends."""
    manual = clock or ManualClock()
    nothing = directory / "no-fixtures"
    app = build(directory, seed=seed, speed=speed, clock=manual, fixtures=fixtures or nothing)
    server = uvicorn.Server(server_config(app, 0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the simulator to listen")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Simulator(port, manual)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
