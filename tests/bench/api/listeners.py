"""Many readers of one stream of events, in a process of their own.

``python -m tests.bench.api.listeners URL --readers N --records M --headers FILE`` prints a line
when all listen, and then the wall clock's seconds at which each reader got each record, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

WAIT_SECONDS = 60.0
_NAME = re.compile(rb'"(bench-\d{3})"')


class _Reader(asyncio.Protocol):
    """One listener."""

    def __init__(self, request: bytes, records: int, arrived: dict[str, list[float]]) -> None:
        self._request, self._left, self._arrived = request, records, arrived
        loop = asyncio.get_running_loop()
        self.is_listening, self.is_done = loop.create_future(), loop.create_future()
        self._tail = b""
        self._seen: set[bytes] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        cast("asyncio.Transport", transport).write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        for one in (self.is_listening, self.is_done):
            if not one.done():
                one.set_exception(exc or ConnectionError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if not self.is_listening.done():
            if not data.startswith(b"HTTP/1.1 200"):
                self.is_listening.set_exception(ConnectionError(data[:300].decode("latin-1")))
                return
            self.is_listening.set_result(None)
        data = self._tail + data
        for name in _NAME.findall(data):
            if name not in self._seen:
                self._seen.add(name)
                self._arrived[name.decode()].append(now)
                self._left -= 1
        self._tail = data[-16:]
        if self._left == 0 and not self.is_done.done():
            self.is_done.set_result(None)


async def _run(given: argparse.Namespace) -> None:
    url = urlsplit(given.url)
    lines = Path(given.headers).read_text(encoding="utf-8").splitlines()
    arrived: dict[str, list[float]] = defaultdict(list)
    loop = asyncio.get_running_loop()
    readers = []
    for number in range(given.readers):
        head = [f"GET {url.path} HTTP/1.1", f"Host: {url.netloc}", lines[number % len(lines)]]
        request = "\r\n".join([*head, "", ""]).encode()
        make = partial(_Reader, request, given.records, arrived)
        made = await loop.create_connection(make, url.hostname, url.port)
        readers.append(made[1])
        await made[1].is_listening
    print(f"INFO {len(readers)} readers listen", flush=True)
    await asyncio.wait([one.is_done for one in readers], timeout=WAIT_SECONDS)
    print(json.dumps(arrived), flush=True)


def main() -> None:
    """Listen and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--readers", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--headers", required=True)
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
