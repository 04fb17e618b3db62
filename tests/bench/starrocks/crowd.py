"""Sixteen clients that load and query at half of what the server can do."""

from __future__ import annotations

import contextlib
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql

from tests.bench.figures import Figure
from tests.bench.starrocks.data import create_table, lines
from tests.starrocks.running import RunningServer

CLIENTS = 16
LOADERS = 4
LOAD_ROWS = 500
IDLE_SECONDS = 10.0
FLAT_OUT_SECONDS = 10.0
TURN_SECONDS = 0.0005


class Crowd:
    """Clients, each at a rate; what they waited for point queries, and what went wrong.

    Pauses are seconds between two requests of one client.
    """

    def __init__(
        self, server: RunningServer, load_pause: float = 0.0, query_pause: float = 0.0
    ) -> None:
        self._server = server
        self._load_pause = load_pause
        self._query_pause = query_pause
        self._stop = threading.Event()
        self.waits: list[float] = []
        self.loads = 0
        self.errors: list[str] = []

    def run(self, seconds: float, clients: Sequence[int] = range(CLIENTS)) -> None:
        """Let clients work, the loading ones (the first numbers) and the querying ones."""
        # The clients share a process: none waits for another one's turn in it.
        usual = sys.getswitchinterval()
        sys.setswitchinterval(TURN_SECONDS)
        try:
            self._run(seconds, clients)
        finally:
            sys.setswitchinterval(usual)

    def _run(self, seconds: float, clients: Sequence[int]) -> None:
        self._stop.clear()
        threads = [threading.Thread(target=self._client, args=(number,)) for number in clients]
        for thread in threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in threads:
            thread.join(60)

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        pause = self._load_pause if number < LOADERS else self._query_pause
        body = lines(10_000_000 + number * LOAD_ROWS, LOAD_ROWS)
        with contextlib.closing(self._server.connect(database="b")) as connection:
            while not self._stop.wait(pause * chance.uniform(0.5, 1.5)):
                try:
                    if number < LOADERS:
                        self._load(body)
                    else:
                        self._query(connection, chance)
                except (OSError, pymysql.err.MySQLError, AssertionError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}"[:200])

    def _load(self, body: bytes) -> None:
        answer = self._server.load("b.crowd", body, strip_outer_array="false")
        if answer["Status"] != "Success":
            raise AssertionError(answer["Message"])
        self.loads += 1

    def _query(self, connection: pymysql.Connection[Any], chance: random.Random) -> None:
        began = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM pk WHERE id = {chance.randrange(50_000)}")
            if len(cursor.fetchall()) != 1:
                raise AssertionError("a point query found no row")
        self.waits.append(time.perf_counter() - began)


def crowd_figures(server: RunningServer, seconds: float) -> Iterator[Figure]:
    """Errors, and p95 of point queries, at half of the loads and half of the queries a second
    that the server can do at once."""
    server.query(create_table("b.crowd", "PRIMARY"))
    full = Crowd(server)
    full.run(FLAT_OUT_SECONDS)
    loads, queries = full.loads / FLAT_OUT_SECONDS, len(full.waits) / FLAT_OUT_SECONDS
    print(
        f"INFO saturation {loads:,.0f} loads/s and {queries:,.0f} queries/s, "
        f"p95 {p95(full.waits) * 1000:.1f} ms",
        flush=True,
    )
    pauses = LOADERS / (loads / 2), (CLIENTS - LOADERS) / (queries / 2)
    idle, half = Crowd(server, *pauses), Crowd(server, *pauses)
    # One querying client alone, before and behind: it pauses and wakes up as in the crowd.
    idle.run(IDLE_SECONDS, (LOADERS,))
    half.run(seconds)
    idle.run(IDLE_SECONDS, (LOADERS,))
    idle_p95 = p95(idle.waits)
    for error in (full.errors + half.errors)[:3]:
        print(f"INFO error {error}", flush=True)
    print(
        f"INFO at half of it {half.loads / seconds:,.0f} loads/s and "
        f"{len(half.waits) / seconds:,.0f} queries/s, "
        f"p50 {statistics.median(half.waits) * 1000:.2f} ms, p95 {p95(half.waits) * 1000:.2f} ms; "
        f"idle p50 {statistics.median(idle.waits) * 1000:.2f} ms, p95 {idle_p95 * 1000:.2f} ms",
        flush=True,
    )
    yield Figure("crowd_errors", len(full.errors) + len(half.errors), "errors", 0, 0)
    yield Figure("crowd_point_p95_of_idle", p95(half.waits) / idle_p95, "x", 5, 5)


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
