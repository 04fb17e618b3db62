"""A server that sends exactly the bytes a test wants, as slowly and as wrongly as it wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from emdata.clock import Clock, SystemClock
from scrapers.http import HttpClient, trusting_nobody

Handler = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request as received, and the way to answer it."""

    target: str
    headers: dict[str, str]
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, status: int = 200, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Send a well-formed answer."""
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


@dataclass
class RawServer:
    """Where the server listens and what it was asked."""

    port: int
    seen: list[Exchange] = field(default_factory=list)

    @property
    def base(self) -> str:
        """URL of the server."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def raw_server(
    handler: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve ``handler`` on a free port of 127.0.0.1."""
    server_state = RawServer(0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            exchange = Exchange(head[0].split(" ")[1], headers, writer)
            server_state.seen.append(exchange)
            await handler(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, which is what many of these tests are about
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server_state.port = server.sockets[0].getsockname()[1]
    try:
        yield server_state
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def client(
    *ports: int,
    clock: Clock | None = None,
    simulator_base: str | None = None,
    attempts: int = 1,
    tls: ssl.SSLContext | None = None,
) -> HttpClient:
    """A client that may talk to these ports of this machine, a thousand times a second."""
    found = HttpClient(
        user_agent="emdata-tests (tests@example.org)",
        clock=clock or SystemClock(),
        simulator_base=simulator_base,
        allowed=[("127.0.0.1", port) for port in ports],
        attempts=attempts,
        ssl_context=tls or trusting_nobody(),
        jitter=lambda: 0.0,
    )
    for host in ("127.0.0.1", "localhost", "example.org", "other.example.org"):
        found.limit(host, "1000/s")
    return found
