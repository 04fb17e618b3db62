"""Flink's StarRocks connector, unmodified, while its TaskManager is killed: rows and deletes."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from flink_jobs.rest import TERMINAL
from tests.starrocks.flink_cluster import FlinkCluster, running_cluster
from tests.starrocks.front_end import FrontEnd, front_end
from tests.starrocks.running import PASSWORD, RunningServer, running_server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

KILLS = 2
COLUMNS = (
    "accepted_on DATE, writer INT, seq BIGINT, at_ TIMESTAMP(6), txt STRING, b BOOLEAN, d DOUBLE, "
    "f DECIMAL(10, 2)"
)
DDL_COLUMNS = (
    "accepted_on DATE NOT NULL, writer INT NOT NULL, seq BIGINT NOT NULL, at_ DATETIME, "
    "txt STRING, b BOOLEAN, d DOUBLE, f DECIMAL(10, 2)"
)
# What is sent twice replaces itself in the one, and would be there twice in the other.
KEYS = {"at-least-once": "PRIMARY KEY", "exactly-once": "DUPLICATE KEY"}
MODES = {
    "at-least-once": "'sink.at-least-once.use-transaction-stream-load' = 'false'",
    "exactly-once": "'sink.label-prefix' = 'trial'",
}
INSERTS = [
    "INSERT INTO landed SELECT DATE '2026-11-21', 1, id, TIMESTAMP '2026-11-21 09:00:00', "
    "txt, b, d, CAST(id AS DECIMAL(10, 2)) / 4 FROM source",
    # Keys move from group to group; a group that gets empty is deleted.
    "INSERT INTO counted SELECT k, COUNT(*) FROM (SELECT id / 100 AS k, ROW_NUMBER() OVER "
    "(PARTITION BY MOD(id, 100) ORDER BY id DESC) AS rn FROM source) WHERE rn = 1 GROUP BY k",
]


def create_tables(server: RunningServer, semantic: str) -> str:
    """The tables of one job; the name of their database."""
    database = semantic.replace("-", "_")
    for statement in (
        f"CREATE DATABASE {database}",
        f"CREATE TABLE {database}.landed ({DDL_COLUMNS}) {KEYS[semantic]} "
        "(accepted_on, writer, seq) PARTITION BY date_trunc('day', accepted_on) "
        "DISTRIBUTED BY HASH(seq) BUCKETS 1 PROPERTIES ('replication_num' = '1')",
        f"CREATE TABLE {database}.counted (k BIGINT NOT NULL, cnt BIGINT) PRIMARY KEY (k) "
        "DISTRIBUTED BY HASH(k) BUCKETS 1",
    ):
        server.query(statement)
    return database


def flink_tables(
    server: RunningServer, front: FrontEnd, semantic: str, database: str, rows: int, rate: int
) -> list[str]:
    """Flink's side of the tables, and a source of `rows` rows at `rate` a second.

    One semantic's loads go through the redirect of a front end, the other's go straight.
    """
    load_port = front.port if semantic == "at-least-once" else server.http_port
    key = ", PRIMARY KEY (accepted_on, writer, seq) NOT ENFORCED"
    statements = [
        "CREATE TABLE source (id BIGINT, d DOUBLE, b BOOLEAN, txt STRING) WITH ("
        f"'connector' = 'datagen', 'number-of-rows' = '{rows}', 'rows-per-second' = '{rate}', "
        "'fields.id.kind' = 'sequence', 'fields.id.start' = '1', "
        f"'fields.id.end' = '{rows}', 'fields.txt.length' = '20')"
    ]
    for name, columns in (
        ("landed", COLUMNS + (key if KEYS[semantic] == "PRIMARY KEY" else "")),
        ("counted", "k BIGINT, cnt BIGINT, PRIMARY KEY (k) NOT ENFORCED"),
    ):
        statements.append(
            f"CREATE TABLE {name} ({columns}) WITH ('connector' = 'starrocks', "
            f"'jdbc-url' = 'jdbc:mysql://127.0.0.1:{server.mysql_port}?useSSL=false', "
            f"'load-url' = '127.0.0.1:{load_port}', 'database-name' = '{database}', "
            f"'table-name' = '{name}', 'username' = 'root', 'password' = '{PASSWORD}', "
            f"'sink.semantic' = '{semantic}', {MODES[semantic]}, "
            "'sink.properties.format' = 'json', 'sink.properties.strip_outer_array' = 'true', "
            "'sink.buffer-flush.interval-ms' = '1000')"
        )
    return statements


def run_with_kills(directory: Path, rows: int, rate: int, seed: int) -> None:
    """Both semantics at once; the TaskManager dies at random points of the way."""
    chance = random.Random(seed)
    with (
        running_server(directory) as server,
        front_end(server.http_port) as front,
        running_cluster(directory / "flink") as cluster,
    ):
        databases = {semantic: create_tables(server, semantic) for semantic in KEYS}
        jobs = {
            semantic: cluster.submit(
                semantic,
                flink_tables(server, front, semantic, database, rows, rate),
                INSERTS,
                {
                    "execution.checkpointing.interval": "1 s",
                    "parallelism.default": "2",
                    "table.local-time-zone": "UTC",
                },
            )
            for semantic, database in databases.items()
        }
        for kill in range(KILLS):
            point = int((kill + chance.uniform(0.2, 0.7)) * rows / (KILLS + 1))
            # Rows show up with a checkpoint; looking at odd times kills between two of them.
            wait_for(
                lambda point=point: (
                    min(count(server, database) for database in databases.values()) >= point
                ),
                300,
                f"{point} rows",
                interval=chance.uniform(0.1, 0.6),
            )
            cluster.kill_task_manager()
            cluster.start_task_manager()
            # The one that shows rows with its checkpoints only is behind: it lives at each kill.
            wait_for(
                lambda kill=kill: cluster.restarts(jobs["exactly-once"]) > kill,
                120,
                "the job to be started again",
            )
        wait_for(lambda: has_finished(cluster, jobs), 600, "both jobs to finish", interval=0.2)
        assert cluster.restarts(jobs["at-least-once"]) >= 1
        assert front.redirected > KILLS
        for database in databases.values():
            check(server, database, rows)


def count(server: RunningServer, database: str) -> int:
    ((found,),) = server.query(f"SELECT count(*) FROM {database}.landed")
    return int(found)


def has_finished(cluster: FlinkCluster, jobs: dict[str, str]) -> bool:
    found = {cluster.rest.state(job) for job in jobs.values()}
    assert not (TERMINAL - {"FINISHED"}) & found, found
    return found == {"FINISHED"}


def check(server: RunningServer, database: str, rows: int) -> None:
    landed = server.query(
        "SELECT count(*), count(DISTINCT seq), min(seq), max(seq), sum(f), count(txt), "
        f"min(at_), max(at_) FROM {database}.landed"
    )
    assert [row[:6] for row in landed] == [
        (rows, rows, 1, rows, Decimal(rows * (rows + 1)) / 8, rows)
    ], database
    assert [str(at) for at in landed[0][6:]] == ["2026-11-21 09:00:00"] * 2
    counted = server.query(f"SELECT * FROM {database}.counted ORDER BY k")
    assert counted == [(rows // 100 - 1, 99), (rows // 100, 1)], database


@pytest.mark.timeout(300)
def test_fault_53_flink_lands_every_row_once_though_its_taskmanager_is_killed_twice(
    tmp_path: Path,
) -> None:
    run_with_kills(tmp_path, rows=8_000, rate=800, seed=random.randrange(10**6))


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_fault_53_flink_lands_200_000_rows_once_though_its_taskmanager_is_killed_twice(
    tmp_path: Path,
) -> None:
    run_with_kills(tmp_path, rows=200_000, rate=2_500, seed=random.randrange(10**6))
