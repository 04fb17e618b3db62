"""Sixteen clients that load and query at half of what the server can do."""

from __future__ import annotations

import contextlib
import random
import statistics
import threading
import time

import pymysql

from tests.bench.starrocks.data import lines
from tests.starrocks.running import RunningServer

CLIENTS = 16
LOADERS = 4
LOAD_ROWS = 500


class Crowd:
    """Clients, each at a rate; what they waited for point queries, and what went wrong."""

    def __init__(self, server: RunningServer, pause: float) -> None:
        self._server = server
        self._pause = pause
        self._stop = threading.Event()
        self.waits: list[float] = []
        self.done = 0
        self.errors: list[str] = []

    def run(self, seconds: float) -> None:
        threads = [
            threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in threads:
            thread.join(60)

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        body = lines(10_000_000 + number * LOAD_ROWS, LOAD_ROWS)
        with contextlib.closing(self._server.connect(database="b")) as connection:
            while not self._stop.wait(self._pause * chance.uniform(0.5, 1.5)):
                try:
                    if number < LOADERS:
                        self._load(body)
                    else:
                        self._query(connection, chance)
                    self.done += 1
                except (OSError, pymysql.err.MySQLError, AssertionError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}"[:200])

    def _load(self, body: bytes) -> None:
        answer = self._server.load("b.crowd", body, strip_outer_array="false")
        if answer["Status"] != "Success":
            raise AssertionError(answer["Message"])

    def _query(self, connection: pymysql.Connection, chance: random.Random) -> None:  # type: ignore[type-arg]
        began = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM pk WHERE id = {chance.randrange(50_000)}")
            if len(cursor.fetchall()) != 1:
                raise AssertionError("a point query found no row")
        self.waits.append(time.perf_counter() - began)


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
