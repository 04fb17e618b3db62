"""SIGKILL at any time: what was acknowledged is there once, labels say what the data say."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pymysql
import pytest

from tests.starrocks.running import RunningServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

ROUNDS = 5
LONG_ROUNDS = 50
ROWS = 40
# What a start after a kill may take; of its own time, because the machine has other work, too.
START_SECONDS = 3.0


class Writer(threading.Thread):
    """Loads blocks of rows until the server is gone; remembers what was acknowledged."""

    def __init__(self, server: RunningServer, number: int, round_number: int, kind: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._number = number
        self._round = round_number
        self._kind = kind
        self.acknowledged: list[int] = []
        self.tried: list[int] = []
        self.prepared: list[int] = []

    def run(self) -> None:
        block = 0
        while True:
            number = (self._round * 10 + self._number) * 10_000 + block
            self.tried.append(number)
            try:
                self._write(number)
            except (OSError, pymysql.err.MySQLError, json.JSONDecodeError):
                return
            except Exception as error:
                if type(error).__module__.startswith("http"):
                    return
                raise
            block += 1

    def _write(self, block: int) -> None:
        rows = [{"block": block, "n": n, "v": f"v{block}"} for n in range(ROWS)]
        label = f"b{block}"
        if self._kind == "load":
            answer = self._server.load("d.blocks", rows, label=label)
            assert answer["Status"] == "Success", answer
        elif self._kind == "insert":
            values = ", ".join(f"({block}, {n}, 'v{block}')" for n in range(ROWS))
            self._server.query(f"INSERT INTO d.blocks VALUES {values}")
        else:
            table = "d.blocks"
            assert self._server.transaction("begin", label, table)["Status"] == "OK"
            assert self._server.transaction("load", label, table, rows)["Status"] == "OK"
            assert self._server.transaction("prepare", label, table)["Status"] == "OK"
            self.prepared.append(block)
            assert self._server.transaction("commit", label, table)["Status"] == "OK"
        self.acknowledged.append(block)


def stored_blocks(server: RunningServer) -> dict[int, tuple[int, int]]:
    rows = server.query(
        "SELECT block, count(*), count(DISTINCT n) FROM d.blocks GROUP BY block ORDER BY block"
    )
    return {block: (count, distinct) for block, count, distinct in rows}


def commit_what_was_prepared(server: RunningServer, writers: list[Writer]) -> None:
    """As Flink does after a restart: commit again what was prepared, whatever came of it."""
    for writer in writers:
        for block in writer.prepared:
            answer = server.transaction("commit", f"b{block}", "d.blocks")
            assert answer["Status"] == "OK", answer


def check(server: RunningServer, writers: list[Writer], earlier: set[int]) -> set[int]:
    found = stored_blocks(server)
    acknowledged = {block for writer in writers for block in writer.acknowledged}
    acknowledged |= {block for writer in writers for block in writer.prepared}
    tried = {block for writer in writers for block in writer.tried}
    assert earlier | acknowledged <= set(found)
    assert set(found) <= earlier | tried
    assert set(found.values()) <= {(ROWS, ROWS)}
    for writer in writers:
        for block in writer.tried if writer._kind == "load" else []:
            path = f"/api/d/get_load_state?label=b{block}"
            state = json.loads(server.http("GET", path)[1])["state"]
            assert (state == "VISIBLE") == (block in found), (block, state)
    return set(found)


def cpu_seconds(server: RunningServer) -> float:
    assert server.process is not None
    times = psutil.Process(server.process.pid).cpu_times()
    return float(times.user + times.system)


def rounds_of_kills(directory: Path, rounds: int, choose: Callable[[], float]) -> None:
    server = RunningServer(directory)
    server.start()
    server.query("CREATE DATABASE d")
    server.query(
        "CREATE TABLE d.blocks (block BIGINT NOT NULL, n INT NOT NULL, v STRING) "
        "PRIMARY KEY (block, n) DISTRIBUTED BY HASH(block) BUCKETS 1"
    )
    stored: set[int] = set()
    starts: list[tuple[float, float]] = []
    for round_number in range(rounds):
        kinds = ("load", "load", "transaction", "insert")
        writers = [Writer(server, i, round_number, kind) for i, kind in enumerate(kinds)]
        for writer in writers:
            writer.start()
        enough = 3 + int(choose() * 12)
        wait_for(
            lambda enough=enough, writers=writers: (
                sum(len(writer.acknowledged) for writer in writers) >= enough
            ),
            60,
            f"{enough} acknowledged blocks",
            interval=0.001,
        )
        server.kill()
        for writer in writers:
            writer.join(60)
        began = time.monotonic()
        server.start()
        starts.append((cpu_seconds(server), time.monotonic() - began))
        assert starts[-1][0] < START_SECONDS
        commit_what_was_prepared(server, writers)
        stored = check(server, writers, stored)
    assert server.stop() == 0
    cpu, wall = (max(column) for column in zip(*starts, strict=True))
    print(f"{rounds} starts after a kill: at most {cpu:.2f} s of CPU, {wall:.2f} s by the clock")


def test_fault_53_sigkill_loses_no_acknowledged_load(tmp_path: Path) -> None:
    rounds_of_kills(tmp_path, ROUNDS, random.Random(53).random)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fault_53_sigkill_loses_no_acknowledged_load_in_many_rounds(tmp_path: Path) -> None:
    seed = int(os.environ.get("EMBEDDED_STARROCKS_SEED", str(random.randrange(10**6))))
    try:
        rounds_of_kills(tmp_path, LONG_ROUNDS, random.Random(seed).random)
    except BaseException:
        print(f"seed {seed}")
        raise


def test_metadata_and_rights_survive_a_kill(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.start()
    statements: list[str] = [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (k INT NOT NULL) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)",
        "CREATE VIEW d.v AS SELECT k + 1 AS k FROM d.t",
        "INSERT INTO d.t VALUES (1)",
        "ALTER TABLE d.t ADD COLUMN note STRING COMMENT 'kept'",
        "CREATE USER reader IDENTIFIED BY 'r'",
        "GRANT SELECT ON ALL VIEWS IN DATABASE d TO USER reader",
    ]
    for statement in statements:
        server.query(statement)
    shown: list[tuple[Any, ...]] = server.query("SHOW CREATE TABLE d.t")
    server.kill()
    server.start()
    assert server.query("SHOW CREATE TABLE d.t") == shown
    assert server.query("SELECT * FROM d.v", user="reader", password="r") == [(2,)]
    server.stop()
