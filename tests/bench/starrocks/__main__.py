"""``make bench-starrocks``: ratios of one run; the machine's own speed cancels out."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.bench.figures import Figure, report
from tests.bench.starrocks.crowd import Crowd, p95
from tests.bench.starrocks.data import BATCH, Bare, create_table, lines
from tests.bench.starrocks.wire import Canned, mariadb_seconds, read_seconds, recorded
from tests.starrocks.running import PASSWORD, RunningServer

AGGREGATE_ROWS = 10_000_000
AGGREGATE = (
    "SELECT quality, count(*), sum(sequence), avg(temperature_c) FROM {} "
    "GROUP BY quality ORDER BY quality"
)


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _load(server: RunningServer, table: str, body: bytes) -> None:
    answer = server.load(table, body, strip_outer_array="false")
    if answer["Status"] != "Success" or answer["NumberLoadedRows"] != BATCH:
        raise AssertionError(f"the load failed: {answer}")


def load_figures(server: RunningServer, bare: Bare, rounds: int) -> Iterator[Figure]:
    """The two take turns, so that a busy moment of the machine meets both."""
    ours, theirs, our_upserts, their_upserts = [], [], [], []
    server.query(create_table("b.dup", "DUPLICATE"))
    server.query(create_table("b.pk", "PRIMARY"))
    bare.create("dup")
    bare.create("pk")
    same = lines(0, BATCH)
    _load(server, "b.pk", same)
    bare.insert("pk", same)
    for number in range(rounds):
        body = lines(number * BATCH, BATCH)
        again = lines(0, BATCH, seed=number + 2)
        theirs.append(seconds_of(lambda body=body: bare.insert("dup", body)))
        ours.append(seconds_of(lambda body=body: _load(server, "b.dup", body)))
        their_upserts.append(seconds_of(lambda again=again: bare.upsert("pk", again)))
        our_upserts.append(seconds_of(lambda again=again: _load(server, "b.pk", again)))
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"INFO load {BATCH / statistics.median(ours):,.0f} rows/s", flush=True)
    yield Figure("stream_load_of_bare", ratio, "x", 0.5, 0.7, is_floor=True)
    ratio = statistics.median(their_upserts) / statistics.median(our_upserts)
    print(f"INFO upsert {BATCH / statistics.median(our_upserts):,.0f} rows/s", flush=True)
    yield Figure("upsert_of_bare", ratio, "x", 0.5, 0.8, is_floor=True)


def point_figures(server: RunningServer, bare: Bare, rounds: int) -> Iterator[Figure]:
    ours, theirs = [], []
    with server.connect(database="b") as connection, connection.cursor() as cursor:

        def ask(number: int) -> None:
            cursor.execute(f"SELECT * FROM pk WHERE id = {number}")
            cursor.fetchall()

        for number in range(rounds):
            sql = f"SELECT * FROM pk WHERE id = {number * 7}"
            theirs.append(seconds_of(lambda sql=sql: bare.connection.execute(sql).fetchall()))
            ours.append(seconds_of(lambda number=number: ask(number * 7)))
    more = (statistics.median(ours) - statistics.median(theirs)) * 1000
    print(f"INFO point query p50 {statistics.median(ours) * 1000:.2f} ms", flush=True)
    yield Figure("point_query_p50_beyond_bare", more, "ms", 1.5, 0.7)


def aggregate_figure(server: RunningServer, bare: Bare) -> Iterator[Figure]:
    make = (
        "SELECT generate_series AS id, generate_series % 5 AS quality, "
        "generate_series % 1000 AS sequence, generate_series % 977 / 7.0 AS temperature_c "
        "FROM {}"
    )
    series = f"generate_series(1, {AGGREGATE_ROWS})"
    server.query("CREATE TABLE b.big DUPLICATE KEY (id) AS " + make.format(f"TABLE({series})"))
    bare.connection.execute(f"CREATE TABLE big AS {make.format(series)}")
    ours, theirs = [], []
    with server.connect(database="b") as connection, connection.cursor() as cursor:

        def ask() -> None:
            cursor.execute(AGGREGATE.format("big"))
            cursor.fetchall()

        for _ in range(7):
            sql = AGGREGATE.format("big")
            theirs.append(seconds_of(lambda sql=sql: bare.connection.execute(sql).fetchall()))
            ours.append(seconds_of(ask))
    ratio = statistics.median(ours) / statistics.median(theirs)
    yield Figure("aggregate_of_10_million_of_bare", ratio, "x", 1.1, 1.1)


def result_figures(server: RunningServer, rounds: int) -> Iterator[Figure]:
    rows = 2 * BATCH
    _load(server, "b.dup", lines(900_000, BATCH))
    sql = f"SELECT * FROM b.dup LIMIT {rows}"
    _, answer = recorded(server, sql)
    canned = Canned(answer)
    try:
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(read_seconds(canned.port, "", sql, rows))
            ours.append(read_seconds(server.mysql_port, PASSWORD, sql, rows))
    finally:
        canned.close()
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"INFO to PyMySQL {rows / statistics.median(ours):,.0f} rows/s", flush=True)
    yield Figure("result_of_canned_socket", ratio, "x", 0.8, 0.8, is_floor=True)
    speed = rows / min(mariadb_seconds(server, sql) for _ in range(rounds))
    yield Figure("result_to_mariadb_client", speed, "rows/s", 100_000, 150_000, is_floor=True)


def crowd_figures(server: RunningServer, seconds: float) -> Iterator[Figure]:
    server.query(create_table("b.crowd", "PRIMARY"))
    idle = Crowd(server, pause=0)
    with server.connect(database="b") as connection:
        import random

        for _ in range(200):
            idle._query(connection, random.Random(1))
    flat_out = Crowd(server, pause=0)
    flat_out.run(min(seconds, 10))
    rate = flat_out.done / min(seconds, 10)
    pause = 16 / (rate / 2)
    print(f"INFO saturation {rate:,.0f} requests/s of 16 clients", flush=True)
    half = Crowd(server, pause=pause)
    half.run(seconds)
    for error in half.errors[:3]:
        print(f"INFO error {error}", flush=True)
    yield Figure("crowd_errors", len(half.errors), "errors", 0, 0)
    yield Figure("crowd_point_p95_of_idle", p95(half.waits) / p95(idle.waits), "x", 5, 5)


def start_figures(server: RunningServer) -> Iterator[Figure]:
    began = time.perf_counter()
    server.start()
    seconds = time.perf_counter() - began
    if server.process is None:
        raise AssertionError("the server did not start")
    memory = psutil.Process(server.process.pid).memory_info().rss / 1e6
    yield Figure("start", seconds, "s", 1.5, 1.5)
    yield Figure("idle_memory_rss", memory, "MB", 200, 200)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", action="append", default=[])
    given = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = RunningServer(Path(folder))
        bare = Bare.open(Path(folder) / "bare")
        stack.callback(bare.close)
        figures += start_figures(server)
        stack.callback(server.stop)
        server.query("CREATE DATABASE b")
        parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "loads": lambda: load_figures(server, bare, given.rounds),
            "points": lambda: point_figures(server, bare, 60 * given.rounds),
            "aggregate": lambda: aggregate_figure(server, bare),
            "results": lambda: result_figures(server, given.rounds),
            "crowd": lambda: crowd_figures(server, given.seconds),
        }
        for name, part in parts.items():
            # The others read what the loads have left.
            if not given.only or name in given.only or name == "loads":
                figures += part()
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
