"""Exports of a million rows, of what the driver fetches by itself; prepared files."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.api.world import World
from tests.bench.api.client import REPOSITORY
from tests.bench.api.world import COLLECTION, export_sql, mysql_of
from tests.bench.figures import Figure

FORMATS = ("csv", "ndjson", "parquet")
_CHUNK = 1 << 20
_FETCH = """
import pymysql, pymysql.cursors, sys, time
host, port, user, password, sql = sys.argv[1:]
connection = pymysql.connect(host=host, port=int(port), user=user, password=password)
cursor = connection.cursor(pymysql.cursors.SSCursor)
began = time.perf_counter()
cursor.execute(sql)
count = 0
while rows := cursor.fetchmany(2000):
    count += len(rows)
print(count, time.perf_counter() - began)
"""


def export_figures(world: World, _: Path, rounds: int, _seconds: float) -> Iterator[Figure]:
    """The rate of exports by that of the driver alone, and the memory that one takes."""
    process = psutil.Process(world.platform.pid("api"))
    ratios: dict[str, list[float]] = {name: [] for name in FORMATS}
    growth = 0.0
    for _number in range(rounds):
        count, fetched = _fetch_rate(world)
        for name in FORMATS:
            url = f"{world.url}/collections/{COLLECTION}/export?f={name}"
            with _Peak(process) as peak:
                seconds, size = _download(url)
            growth = max(growth, peak.growth)
            ratios[name].append(count / seconds / fetched)
            print(
                f"INFO export {name}: {count / seconds:,.0f} rows/s, {size / 1e6:,.0f} MB; "
                f"driver alone {fetched:,.0f} rows/s",
                flush=True,
            )
    for name in FORMATS:
        ratio = statistics.median(ratios[name])
        yield Figure(f"export_{name}_of_driver", ratio, "x", 0.7, 0.9, is_floor=True)
    yield Figure("export_memory_growth", growth / (1 << 20), "MB", 200, 100)


def _fetch_rate(world: World) -> tuple[int, float]:
    """Rows, and rows a second, that PyMySQL reads without a buffer in a process of its own."""
    mysql = mysql_of(world)
    arguments = [str(mysql[name]) for name in ("host", "port", "user", "password")]
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, *arguments, export_sql()],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    count, seconds = done.stdout.split()
    return int(count), int(count) / float(seconds)


def _download(url: str) -> tuple[float, int]:
    """Seconds from the request to the last byte, and the bytes."""
    began = time.perf_counter()
    size = 0
    with urllib.request.urlopen(url, timeout=600) as answer:
        while chunk := answer.read(_CHUNK):
            size += len(chunk)
    return time.perf_counter() - began, size


class _Peak:
    """The highest resident size of a process within a block, beyond that before."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self._before = self._highest = 0
        self._thread = threading.Thread(target=self._watch)

    @property
    def growth(self) -> int:
        """Bytes."""
        return self._highest - self._before

    def __enter__(self) -> _Peak:
        self._before = self._highest = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self._highest = max(self._highest, self._process.memory_info().rss)
