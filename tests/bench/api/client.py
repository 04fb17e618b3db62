"""A load generator in a process of its own: keep-alive connections, flat out or at a pace.

``python -m tests.bench.api.client URL --connections N --seconds S [--rate R]`` prints one line of
JSON. With a rate, requests are due at fixed instants and latency counts from when one was due, so
that a server that stalls is not asked less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Load:
    """What was measured; latencies in seconds. statuses: answers by status."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    bytes: int
    statuses: dict[str, int]

    @property
    def rate(self) -> float:
        """Answers with status 200 a second."""
        return self.statuses.get("200", 0) / self.seconds

    @property
    def failed(self) -> int:
        """Answers that were none with status 200."""
        return self.requests - self.statuses.get("200", 0)


def measure(
    url: str,
    *,
    connections: int = 16,
    seconds: float = 5.0,
    rate: float = 0.0,
    headers: Sequence[str] = (),
    paths: Path | None = None,
) -> Load:
    """Run a generator and return what it measured."""
    with started(
        url, connections=connections, seconds=seconds, rate=rate, headers=headers, paths=paths
    ) as process:
        return result(process)


def started(
    url: str,
    *,
    connections: int,
    seconds: float,
    rate: float = 0.0,
    headers: Sequence[str] = (),
    paths: Path | None = None,
) -> subprocess.Popen[str]:
    """Start a generator; ``result`` waits for it. paths: a file with a path a line, in turns."""
    given = [f"--connections={connections}", f"--seconds={seconds}", f"--rate={rate}"]
    given += [] if paths is None else [f"--paths={paths}"]
    given += [f"--header={one}" for one in headers]
    command = [sys.executable, "-m", "tests.bench.api.client", url, *given]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> Load:
    """Wait for a generator's end; what it measured."""
    text, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        raise SystemExit(f"the load generator ended with {process.returncode}")
    return Load(**json.loads(text))


class _Connection(asyncio.Protocol):
    """One keep-alive connection; knows answers with Content-Length only."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._left = 0
        self._answer: asyncio.Future[int] | None = None
        self._status = 0
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed by the server"))

    async def ask(self) -> int:
        """Send the request; the answer's status."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(next(self._requests))
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._left:
            self._left -= len(data)
        else:
            self._buffer += data
            head, separator, body = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            self._buffer = b""
            self._status = int(head[9:12])
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._left = length - len(body)
        if self._left == 0 and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._status)


async def _run(given: argparse.Namespace) -> Load:
    url = urlsplit(given.url)
    path = f"{url.path}?{url.query}" if url.query else url.path
    paths = [path]
    if given.paths:
        paths = Path(given.paths).read_text(encoding="utf-8").split()
    lines = [f"Host: {url.netloc}", "Accept-Encoding: identity", *given.header, "", ""]
    requests = cycle(["\r\n".join([f"GET {one} HTTP/1.1", *lines]).encode() for one in paths])
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(requests), url.hostname, url.port))[1]
        for _ in range(given.connections)
    ]
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    begin = time.perf_counter()
    end = begin + given.seconds
    turns = iter(range(sys.maxsize))

    async def work(connection: _Connection) -> None:
        while True:
            due = time.perf_counter()
            if given.rate:
                due = begin + next(turns) / given.rate
                if due >= end:
                    return
                wait = due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
            elif due >= end:
                return
            status = await connection.ask()
            latencies.append(time.perf_counter() - due)
            statuses[str(status)] += 1

    await asyncio.gather(*map(work, opened))
    seconds = time.perf_counter() - begin
    latencies.sort()
    count = len(latencies)
    p50, p95, p99 = (latencies[min(count - 1, int(count * q))] for q in (0.5, 0.95, 0.99))
    received = sum(one.received for one in opened)
    return Load(count, seconds, p50, p95, p99, received, dict(statuses))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--paths", default="")
    parser.add_argument("--header", action="append", default=[])
    print(json.dumps(asdict(uvloop.run(_run(parser.parse_args())))))


if __name__ == "__main__":
    main()
