"""A small memory cap: what is larger is spilled and answered exactly, or refused in plain words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.starrocks.running import RunningServer, running_server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

# Keys that a multiplication puts into another order; the row of a key is known without a sort.
ROWS = 499_979
STEP = 7919
MEMORY = "72MB"
MB = 2**20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with little memory, and a table whose texts are as large as all of it."""
    directory = tmp_path_factory.mktemp("small")
    with running_server(directory, "--memory-limit", MEMORY) as server:
        server.query("CREATE DATABASE d")
        server.query(
            "CREATE TABLE d.big (k BIGINT NOT NULL, s STRING) DUPLICATE KEY (k) "
            "DISTRIBUTED BY HASH(k)"
        )
        server.query(
            f"INSERT INTO d.big SELECT generate_series, concat(lpad(cast(generate_series * {STEP} "
            f"% {ROWS} AS STRING), 6, '0'), repeat(md5(cast(generate_series AS STRING)), 4)) "
            f"FROM TABLE(generate_series(0, {ROWS - 1}))"
        )
        yield server


class Spilled(threading.Thread):
    """Looks at the directory of temporary files while a statement runs."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__()
        self._directory = server.data / "tmp"
        self._end = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._end.wait(0.01):
            self.peak = max(self.peak, spilled_bytes(self._directory))

    def __enter__(self) -> Spilled:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


def spilled_bytes(directory: Path) -> int:
    total = 0
    try:
        for entry in os.scandir(directory):
            total += entry.stat().st_size
    except FileNotFoundError:
        # Not there yet, or a file that has just been removed.
        return 0
    return total


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        pytest.param(
            f"SELECT count(*), sum(CASE WHEN r <> k * {STEP} % {ROWS} THEN 1 ELSE 0 END) FROM "
            "(SELECT k, s, row_number() OVER (ORDER BY s) - 1 AS r FROM d.big) x",
            (ROWS, 0),
            id="sort",
        ),
        pytest.param(
            "SELECT count(*), sum(n), sum(length(m)) FROM "
            "(SELECT s, count(*) AS n, max(s) AS m FROM d.big GROUP BY s) x",
            (ROWS, ROWS, ROWS * 134),
            id="aggregate",
        ),
        pytest.param(
            "SELECT count(*), sum(a.k), sum(length(b.s)) FROM d.big a JOIN d.big b ON a.s = b.s",
            (ROWS, ROWS * (ROWS - 1) // 2, ROWS * 134),
            id="join",
        ),
    ],
)
def test_what_exceeds_the_memory_is_spilled_and_exact(
    small: RunningServer, statement: str, answer: tuple[Any, ...]
) -> None:
    with Spilled(small) as spilled:
        (row,) = small.query(statement)
    assert row == answer
    assert spilled.peak > 16 * MB


def test_a_result_that_was_sorted_on_disk_arrives_in_order(small: RunningServer) -> None:
    with Spilled(small) as spilled:
        rows = small.query(f"SELECT k FROM d.big ORDER BY s LIMIT {ROWS // 2} OFFSET 1000")
    inverse = pow(STEP, -1, ROWS)
    assert [k for (k,) in rows] == [(1000 + n) * inverse % ROWS for n in range(ROWS // 2)]
    assert spilled.peak > MB


@pytest.mark.parametrize(
    "expression", ["length(group_concat(s))", "cardinality(array_agg(s))"], ids=["text", "array"]
)
def test_one_value_that_cannot_be_spilled_is_refused_and_the_server_goes_on(
    small: RunningServer, expression: str
) -> None:
    with small.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.err.MySQLError, match="Memory limit exceeded") as refused:
            cursor.execute(f"SELECT {expression} FROM d.big")
        assert "--memory-limit" in refused.value.args[1]
        assert "SET " not in refused.value.args[1], "advice that no client can follow"
        # The same connection and others go on, with the memory back.
        cursor.execute("SELECT count(*), sum(length(s)) FROM d.big")
        assert cursor.fetchall() == ((ROWS, ROWS * 134),)
    assert small.http("GET", "/api/health")[0] == 200


def test_a_load_that_cannot_be_read_in_the_memory_is_refused_whole(small: RunningServer) -> None:
    small.query(
        "CREATE TABLE d.loaded (k BIGINT NOT NULL, s STRING) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)"
    )
    text = "x" * 400
    # An array is read as a whole; lines would be read in pieces.
    rows = [f'{{"k": {k}, "s": "{k}{text}"}}' for k in range(250_000)]
    body = f"[{','.join(rows)}]".encode()
    assert len(body) > 90 * MB
    answer = small.load("d.loaded", body, label="large")
    assert (answer["Status"], answer["NumberLoadedRows"]) == ("Fail", 0)
    assert "Out of Memory" in answer["Message"]
    assert small.query("SELECT count(*) FROM d.loaded") == [(0,)]
    assert list((small.data / "spool").iterdir()) == []
    # The label is free again, and the same rows come in parts.
    assert small.load("d.loaded", rows[0].encode(), label="large")["Status"] == "Fail"
    part = {"label": "large", "strip_outer_array": "false"}
    assert small.load("d.loaded", rows[0].encode(), **part)["Status"] == "Success"
