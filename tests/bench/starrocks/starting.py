"""How long the server takes to start over data that is there, and what it holds when idle."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import psutil

from tests.bench.figures import Figure
from tests.starrocks.running import RunningServer

STARTS = 5


def start_figures(server: RunningServer) -> Iterator[Figure]:
    """Medians of some starts, each after an orderly stop. Memory is the resident size (RSS)."""
    seconds, memory = [], []
    for _ in range(STARTS):
        server.stop()
        began = time.perf_counter()
        server.start()
        seconds.append(time.perf_counter() - began)
        server.query("SELECT 1")
        if server.process is None:
            raise AssertionError("the server did not start")
        memory.append(psutil.Process(server.process.pid).memory_info().rss / 1e6)
    yield Figure("start", statistics.median(seconds), "s", 1.5, 1.5)
    yield Figure("idle_memory_rss", statistics.median(memory), "MB", 200, 200)
