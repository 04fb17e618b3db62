"""Flink's StarRocks connector, unmodified, on a cluster inside one process: rows and deletes."""

from __future__ import annotations

import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.starrocks.running import PASSWORD, REPOSITORY, RunningServer

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

TOOLS = Path(os.environ.get("EMDATA_TOOLS", str(REPOSITORY / ".emdata" / "tools")))
ROWS = 1000


@pytest.mark.parametrize("semantic", ["at-least-once", "exactly-once"])
def test_flink_lands_every_row_once_and_its_deletes(server: RunningServer, semantic: str) -> None:
    interpreter = TOOLS / "flink" / "bin" / "python"
    (jar,) = (TOOLS / "jars" / "flink").glob("flink-connector-starrocks-*.jar")
    for statement in (
        "DROP TABLE IF EXISTS d.landed",
        "DROP TABLE IF EXISTS d.counted",
        "CREATE TABLE d.landed (accepted_on DATE NOT NULL, writer INT NOT NULL, "
        "seq BIGINT NOT NULL, at_ DATETIME, txt STRING, b BOOLEAN, d DOUBLE, f DECIMAL(10, 2)) "
        "PRIMARY KEY (accepted_on, writer, seq) PARTITION BY date_trunc('day', accepted_on) "
        "DISTRIBUTED BY HASH(seq) BUCKETS 1 PROPERTIES ('replication_num' = '1')",
        "CREATE TABLE d.counted (k BIGINT NOT NULL, cnt BIGINT) PRIMARY KEY (k) "
        "DISTRIBUTED BY HASH(k) BUCKETS 1",
    ):
        server.query(statement)
    done = subprocess.run(
        [
            str(interpreter),
            str(Path(__file__).with_name("flink_job.py")),
            str(server.mysql_port),
            str(server.http_port),
            PASSWORD,
            semantic,
            str(ROWS),
            str(jar),
        ],
        env={**os.environ, "JVM_ARGS": "-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    landed = server.query("SELECT count(*), count(DISTINCT seq), sum(f) FROM d.landed")
    assert landed == [(ROWS, ROWS, Decimal(ROWS * (ROWS + 1)) / 8)]
    assert server.query("SELECT * FROM d.counted ORDER BY k") == [(9, 99), (10, 1)]
