"""A load generator in a process of its own: keep-alive connections, flat out or at a pace.

``python -m tests.bench.api.client URL --connections N --seconds S [--rate R]`` prints a line when
it begins and one of JSON. With a rate, requests are due at fixed instants and latency counts from
when one was due, so that a server that stalls is not asked less.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE_S = 60.0
GIVES_WAY, GIVES_WAY_MORE = 5, 15
"""Clients would be other machines, and a flood another than its neighbor: on the cores that they
share, the server comes first, then who is measured."""
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Load:
    """What was measured; latencies in seconds. statuses: answers by status.

    late: p99 of how late a request was sent; what of it no busy connection explains is the
    generator's own.
    """

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    late: float
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
    nice: int = GIVES_WAY,
) -> subprocess.Popen[str]:
    """Start a generator that asks by the time this returns; ``result`` waits for its end.

    paths: a file with a path a line, in turns. nice: as of the command.
    """
    given = [
        f"--connections={connections}",
        f"--seconds={seconds}",
        f"--rate={rate}",
        f"--nice={nice}",
    ]
    given += [] if paths is None else [f"--paths={paths}"]
    given += [f"--header={one}" for one in headers]
    command = [sys.executable, "-m", "tests.bench.api.client", url, *given]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def result(process: subprocess.Popen[str]) -> Load:
    """Wait for a generator's end; what it measured."""
    text, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        raise SystemExit(f"the load generator ended with {process.returncode}")
    return Load(**json.loads(text))


class _Connection:
    """One keep-alive connection; knows answers with Content-Length only."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = b""
        self._left = 0
        self.due = 0.0
        self.status = 0
        self.received = 0

    def fileno(self) -> int:
        """What ``select`` waits for."""
        return self._socket.fileno()

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at an instant."""
        self.due = due
        self._socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what is there; whether the answer is whole, with its ``status``."""
        data = self._socket.recv(256 << 10)
        if not data:
            raise ConnectionError("closed by the server")
        self.received += len(data)
        if self._left:
            self._left -= len(data)
            return self._left == 0
        self._head += data
        head, separator, body = self._head.partition(b"\r\n\r\n")
        if not separator:
            return False
        self._head = b""
        self.status = int(head[9:12])
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        self._left = length - len(body)
        return self._left == 0


class _Run:
    """One run: every idle connection sends what is due; one thread waits for all of them.

    ``select`` waits to the microsecond, which an event loop's timers do not, and costs a fifth of
    its work: what is measured is the server, not its generator on the same cores.
    """

    def __init__(self, opened: Sequence[_Connection], requests: Iterator[bytes]) -> None:
        self._idle = deque(opened)
        self._busy: set[_Connection] = set()
        self._requests = requests
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.statuses: Counter[str] = Counter()

    def go(self, seconds: float, rate: float) -> float:
        """Ask for so long and until all is answered; the seconds that it took."""
        begin = time.perf_counter()
        end = begin + seconds
        number = 0
        while True:
            now = time.perf_counter()
            due = begin + number / rate if rate else now
            while self._idle and due <= now and due < end:
                self._send(due)
                number += 1
                now = time.perf_counter()
                due = begin + number / rate if rate else now
            is_over = due >= end
            if is_over and not self._busy:
                return time.perf_counter() - begin
            wait = due - now if self._idle and not is_over else PATIENCE_S
            self._receive(max(0.0, wait))

    def _send(self, due: float) -> None:
        connection = self._idle.popleft()
        # With a connection to spare all the time, lateness is the generator's own.
        self.late.append(time.perf_counter() - due)
        connection.ask(next(self._requests), due)
        self._busy.add(connection)

    def _receive(self, wait: float) -> None:
        ready, _, _ = select.select(self._busy, (), (), wait)
        if not ready and wait >= PATIENCE_S:
            raise TimeoutError(f"no answer within {PATIENCE_S} s")
        for connection in ready:
            if connection.is_answered():
                self.latencies.append(time.perf_counter() - connection.due)
                self.statuses[str(connection.status)] += 1
                self._busy.remove(connection)
                self._idle.append(connection)


def _run(given: argparse.Namespace) -> Load:
    url = urlsplit(given.url)
    path = f"{url.path}?{url.query}" if url.query else url.path
    paths = [path]
    if given.paths:
        paths = Path(given.paths).read_text(encoding="utf-8").split()
    lines = [f"Host: {url.netloc}", "Accept-Encoding: identity", *given.header, "", ""]
    requests = cycle(["\r\n".join([f"GET {one} HTTP/1.1", *lines]).encode() for one in paths])
    address = (url.hostname or "127.0.0.1", url.port or 80)
    opened = [_Connection(*address) for _ in range(given.connections)]
    # A pause of the generator's collector would look like one of the server.
    gc.disable()
    run = _Run(opened, requests)
    print("begun", flush=True)
    seconds = run.go(given.seconds, given.rate)
    p50, p95, p99 = (_quantile(run.latencies, one) for one in (0.5, 0.95, 0.99))
    return Load(
        len(run.latencies), seconds, p50, p95, p99, _quantile(run.late, 0.99),
        sum(one.received for one in opened), dict(run.statuses),
    )  # fmt: skip


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--paths", default="")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--nice", type=int, default=0)
    given = parser.parse_args()
    os.nice(given.nice)
    print(json.dumps(asdict(_run(given))))


if __name__ == "__main__":
    main()
