"""Connector/J out of the Flink connector's jar: metadata, both kinds of statements, errors."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runtime.install import find_java
from tests.starrocks.running import PASSWORD, REPOSITORY, RunningServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TOOLS = Path(os.environ.get("EMDATA_TOOLS", str(REPOSITORY / ".emdata" / "tools")))
TABLES = (
    "CREATE TABLE d.kinds (k INT NOT NULL, n BIGINT, big LARGEINT, b BOOLEAN, d DOUBLE, f FLOAT, "
    "p DECIMAL(20, 4), s STRING, on_ DATE, at_ DATETIME, doc JSON, tags ARRAY<INT>) "
    "PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    "CREATE VIEW d.kinds_seen AS SELECT k, s FROM d.kinds",
    "INSERT INTO d.kinds VALUES (1, -9223372036854775808, "
    "170141183460469231731687303715884105727, true, 0.1, 1.5, 123.4567, 'é', '2026-11-21', "
    "'2026-11-21 09:14:10.5', parse_json('{\"a\":1}'), [1, NULL]), "
    "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE d.written (k INT NOT NULL, n BIGINT, d DOUBLE, p DECIMAL(20, 4), s STRING, "
    "on_ DATE, at_ DATETIME, b BOOLEAN) PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1",
)
NASTY = "a'b\"c\\d\n%s`; DROP TABLE d.kinds; -- ? é"
# java.sql.Types
INTEGER, BIGINT, DOUBLE, REAL, FLOAT, DECIMAL = 4, -5, 8, 7, 6, 3
CHAR, VARCHAR, DATE, TIMESTAMP, TINYINT, OTHER = 1, 12, 91, 93, -6, 1111
WRITTEN = [
    "1",
    "-9223372036854775808",
    "0.1",
    "123.4567",
    NASTY,
    "2026-11-21",
    "2026-11-21 09:14:10.5",
    "1",
]


@pytest.fixture(scope="module")
def said(server: RunningServer) -> dict[str, Any]:
    """Everything that the driver says, asked once: a JVM takes its time."""
    for statement in TABLES:
        server.query(statement)
    (jar,) = (TOOLS / "jars" / "flink").glob("flink-connector-starrocks-*.jar")
    done = subprocess.run(
        [
            str(TOOLS / "flink" / "bin" / "python"),
            str(Path(__file__).with_name("connector_j.py")),
            f"127.0.0.1:{server.mysql_port}",
            PASSWORD,
            str(find_java(os.environ).executable),
            str(jar),
            NASTY,
        ],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_connector_j_lists_databases_tables_and_columns(said: dict[str, Any]) -> None:
    metadata = said["metadata"]
    assert metadata["valid"] is True
    assert (metadata["catalog"], metadata["moved"]) == ("d", "information_schema")
    assert {"d", "information_schema"} <= {row[0] for row in metadata["catalogs"]}
    tables = [["d", None, "kinds", "TABLE"], ["d", None, "written", "TABLE"]]
    view = ["d", None, "kinds_seen", "VIEW"]
    assert metadata["tables"] == [*tables, view]
    assert metadata["views"] == [tables[0], view]
    # Name, type, size, digits behind the point, nullable, position
    assert metadata["columns"][0] == ["k", INTEGER, 10, 0, "NO", 1]
    found = {name: rest for name, *rest in metadata["columns"]}
    assert found["n"] == [BIGINT, 19, 0, "YES", 2]
    assert found["p"] == [DECIMAL, 20, 4, "YES", 7]
    assert [found[name][0] for name in ("d", "f", "s", "on_", "at_")] == [
        DOUBLE,
        REAL,
        VARCHAR,
        DATE,
        TIMESTAMP,
    ]
    assert [position for *_, position in metadata["columns"]] == list(range(1, 13))


def test_connector_j_reads_every_type(said: dict[str, Any]) -> None:
    row = said["row"]
    assert row["full"] == {
        "n": -(2**63),
        "big": str(2**127 - 1),
        "b": True,
        "d": 0.1,
        "p": "123.4567",
        "s": "é",
        "on_": "2026-11-21",
        "at_": "2026-11-21 09:14:10.5",
        "doc": '{"a": 1}',
    }
    assert row["nulls"] == [None] * 11
    assert {name: kind for name, (kind, _) in row["types"].items()} == {
        "k": INTEGER,
        "n": BIGINT,
        "big": CHAR,
        "b": TINYINT,
        "d": DOUBLE,
        "f": REAL,
        "p": DECIMAL,
        "s": VARCHAR,
        "on_": DATE,
        "at_": TIMESTAMP,
        "doc": CHAR,
        "tags": CHAR,
    }


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("emulated", "JDBC42PreparedStatement"),
        ("server", "JDBC42ServerPreparedStatement"),
        ("cached", "JDBC42ServerPreparedStatement"),
    ],
)
def test_connector_j_prepared_statements_write_and_read(
    said: dict[str, Any], way: str, kind: str
) -> None:
    prepared = said[way]
    assert prepared["class"] == kind
    assert prepared["counts"] == [1, 1, 2]
    assert prepared["answers"] == [[WRITTEN], [WRITTEN, ["2"] + [None] * 7], []]


@pytest.mark.parametrize(
    ("way", "rows"), [("batch", 50), ("rewritten", 3000), ("server batch", 700)]
)
def test_connector_j_batches_insert_every_row(said: dict[str, Any], way: str, rows: int) -> None:
    total = rows * (rows + 1) // 2 + rows // 4
    fraction = {0: "0000", 1: "2500", 2: "5000", 3: "7500"}[rows % 4]
    assert said[way] == {
        "answers": rows,
        "found": [[str(rows), str(rows), f"{total}.{fraction}"]],
        "deleted": rows,
    }


def test_connector_j_sees_a_transaction_only_when_it_is_committed(said: dict[str, Any]) -> None:
    # StarRocks has no autocommit to switch off: a statement outside of BEGIN counts at once.
    assert said["transactions"] == {
        "autocommit": [["1"]],
        "before ROLLBACK": [["1"]],
        "ROLLBACK": [["1"]],
        "before COMMIT": [["1"]],
        "COMMIT": [["3"]],
    }


def test_connector_j_limits_streams_and_cancels_results(said: dict[str, Any]) -> None:
    results = said["results"]
    assert (results["few"], results["all"], results["fetched"]) == (7, 5000, 5000)
    assert results["streamed"] == [5000, ["1"], ["5000"]]
    assert results["several"] == [[["1"]], [["two"]]]
    assert results["timeout"][2] == "MySQLTimeoutException"
    assert results["alive"] == [["1"]]


def test_connector_j_gets_codes_and_states_of_errors(said: dict[str, Any]) -> None:
    errors = {name: answer[:2] for name, answer in said["errors"].items() if name != "alive"}
    assert errors == {
        "SELECT * FROM no_such_table": [1146, "42S02"],
        "SELECT no_such_column FROM kinds": [1054, "42S22"],
        "SELEC 1": [1064, "42000"],
        "USE no_such_database": [1049, "42000"],
        "DROP TABLE no_such_table": [1051, "42S02"],
        "CREATE TABLE kinds (k INT) DUPLICATE KEY (k)": [1050, "42S01"],
        "CREATE DATABASE d": [1007, "HY000"],
        "password": [1045, "28000"],
        "database": [1049, "42000"],
    }
    assert said["errors"]["alive"] == [["1"]]
