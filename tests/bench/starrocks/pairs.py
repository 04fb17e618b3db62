"""The server and bare DuckDB in turns, so that a busy moment of the machine meets both.

Each comparison begins with rounds that are not counted: files, plans and memory are new then. A
ratio is the median of the pairs' ratios.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.bench.figures import Figure
from tests.bench.starrocks.data import BATCH, Bare, create_table, lines
from tests.bench.starrocks.wire import Canned, mariadb_seconds, read_seconds, recorded
from tests.starrocks.running import PASSWORD, RunningServer

AGGREGATE_ROWS = 10_000_000
AGGREGATE = (
    "SELECT quality, count(*), sum(sequence), avg(temperature_c) FROM {} "
    "GROUP BY quality ORDER BY quality"
)
# DOUBLE on both sides: without the cast StarRocks divides into DECIMAL(38, 6), DuckDB into DOUBLE.
AGGREGATED = (
    "SELECT generate_series AS id, generate_series % 5 AS quality, "
    "generate_series % 1000 AS sequence, "
    "CAST(generate_series % 977 / 7.0 AS DOUBLE) AS temperature_c FROM {}"
)


@dataclasses.dataclass(frozen=True)
class Sides:
    """The server, and bare DuckDB with the same rows."""

    server: RunningServer
    bare: Bare


@dataclasses.dataclass
class Pairs:
    """Seconds of both sides, taken in turns."""

    ours: list[float] = dataclasses.field(default_factory=list)
    bare: list[float] = dataclasses.field(default_factory=list)

    def take(self, ours: Callable[[], object], bare: Callable[[], object]) -> None:
        self.bare.append(seconds_of(bare))
        self.ours.append(seconds_of(ours))

    def drop(self, count: int) -> None:
        """Forget the first rounds."""
        del self.ours[:count], self.bare[:count]

    def ratio(self) -> float:
        """The server's time by that of bare DuckDB."""
        return statistics.median(a / b for a, b in zip(self.ours, self.bare, strict=True))


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load(server: RunningServer, table: str, body: bytes) -> None:
    answer = server.load(table, body, strip_outer_array="false")
    if answer["Status"] != "Success" or answer["NumberLoadedRows"] != BATCH:
        raise AssertionError(f"the load failed: {answer}")


def prepare(sides: Sides) -> None:
    """What the parts read: 50,000 rows in `pk`."""
    sides.server.query("CREATE DATABASE b")
    sides.server.query(create_table("b.dup", "DUPLICATE"))
    sides.server.query(create_table("b.pk", "PRIMARY"))
    body = lines(0, BATCH)
    load(sides.server, "b.pk", body)
    for table in ("dup", "pk"):
        sides.bare.create(table)
    sides.bare.insert("pk", body)


def load_figures(sides: Sides, rounds: int) -> Iterator[Figure]:
    """Appends and upserts of all rows; a body is sent by HTTP, bare DuckDB reads it from a file."""
    appends, upserts = Pairs(), Pairs()
    server, bare = sides.server, sides.bare
    for number in range(rounds + 1):
        body = lines(number * BATCH, BATCH)
        appends.take(partial(load, server, "b.dup", body), partial(bare.insert, "dup", body))
        again = lines(0, BATCH, seed=number + 2)
        upserts.take(partial(load, server, "b.pk", again), partial(bare.upsert, "pk", again))
    for name, pairs, aim in (("stream_load", appends, 0.7), ("upsert", upserts, 0.8)):
        pairs.drop(1)
        print(f"INFO {name} {BATCH / statistics.median(pairs.ours):,.0f} rows/s", flush=True)
        yield Figure(f"{name}_of_bare", 1 / pairs.ratio(), "x", 0.5, aim, is_floor=True)


def point_figures(sides: Sides, rounds: int) -> Iterator[Figure]:
    """One row by its key, all columns, as PyMySQL gets it; milliseconds beyond bare DuckDB."""
    pairs = Pairs()
    with sides.server.connect(database="b") as connection, connection.cursor() as cursor:

        def ask(sql: str) -> None:
            cursor.execute(sql)
            cursor.fetchall()

        for number in range(rounds + 50):
            sql = f"SELECT * FROM pk WHERE id = {number * 7}"
            pairs.take(partial(ask, sql), partial(sides.bare.rows, sql))
    pairs.drop(50)
    p50, bare = statistics.median(pairs.ours) * 1000, statistics.median(pairs.bare) * 1000
    print(f"INFO point query p50 {p50:.2f} ms, bare DuckDB {bare:.2f} ms", flush=True)
    yield Figure("point_query_p50_beyond_bare", p50 - bare, "ms", 1.5, 0.7)


def aggregate_figures(sides: Sides, rounds: int) -> Iterator[Figure]:
    series = f"generate_series(1, {AGGREGATE_ROWS})"
    table = AGGREGATED.format(f"TABLE({series})")
    sides.server.query(f"CREATE TABLE b.big DUPLICATE KEY (id) AS {table}", read_timeout=120)
    sides.bare.connection.execute(f"CREATE TABLE big AS {AGGREGATED.format(series)}")
    pairs = Pairs()
    sql = AGGREGATE.format("big")
    with sides.server.connect(database="b") as connection, connection.cursor() as cursor:

        def ask() -> None:
            cursor.execute(sql)
            cursor.fetchall()

        for _ in range(rounds + 2):
            pairs.take(ask, partial(sides.bare.rows, sql))
    pairs.drop(2)
    print(f"INFO aggregate p50 {statistics.median(pairs.ours) * 1000:.0f} ms", flush=True)
    yield Figure("aggregate_of_10_million_of_bare", pairs.ratio(), "x", 1.1, 1.1)


def result_figures(sides: Sides, rounds: int) -> Iterator[Figure]:
    """100,000 rows of 15 columns, to PyMySQL and to the MariaDB command line."""
    server, rows = sides.server, 2 * BATCH
    server.query(create_table("b.wide", "DUPLICATE"))
    for number in range(2):
        load(server, "b.wide", lines(number * BATCH, BATCH))
    sql = f"SELECT * FROM b.wide LIMIT {rows}"
    canned = Canned(recorded(server, sql))
    pairs = Pairs()
    try:
        for _ in range(rounds + 1):
            pairs.take(
                lambda: read_seconds(server.mysql_port, PASSWORD, sql, rows),
                lambda: read_seconds(canned.port, "", sql, rows),
            )
    finally:
        canned.close()
    pairs.drop(1)
    print(f"INFO to PyMySQL {rows / statistics.median(pairs.ours):,.0f} rows/s", flush=True)
    yield Figure("result_of_canned_socket", 1 / pairs.ratio(), "x", 0.8, 0.8, is_floor=True)
    seconds = statistics.median(mariadb_seconds(server, sql) for _ in range(rounds))
    name = "result_to_mariadb_client"
    yield Figure(name, rows / seconds, "rows/s", 100_000, 150_000, is_floor=True)
