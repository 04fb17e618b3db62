"""VISIBLE_VERSION: what caches of answers go by."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded_starrocks.storage.engine import Engine
from embedded_starrocks.storage.store import Store
from tests.starrocks.conftest import Statements
from tests.starrocks.running import RunningServer, running_server

QUERY = (
    "SELECT COUNT(*), SUM(PARTITION_ID), MAX(VISIBLE_VERSION), SUM(ROW_COUNT) "
    "FROM information_schema.partitions_meta WHERE DB_NAME = 'd' AND TABLE_NAME = '{}'"
)


@pytest.fixture(autouse=True)
def _tables(sql: Statements) -> None:
    for name in ("one", "two"):
        sql(f"DROP TABLE IF EXISTS d.{name}")
        sql(f"CREATE TABLE d.{name} (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")


def version(sql: Statements, table: str = "one") -> int:
    return int(sql(QUERY.format(table))[0][2])


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO d.one VALUES (5, 5)",
        "INSERT OVERWRITE d.one VALUES (6, 6)",
        "UPDATE d.one SET v = 9 WHERE k = 1",
        "DELETE FROM d.one WHERE k = 1",
        "TRUNCATE TABLE d.one",
        "BEGIN; INSERT INTO d.one VALUES (7, 7); COMMIT",
        "INSERT INTO d.one WITH LABEL {label} VALUES (8, 8)",
        "ALTER TABLE d.one ADD COLUMN w INT NULL",
        "ALTER TABLE d.one SWAP WITH two",
        "DROP TABLE d.one; CREATE TABLE d.one (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)",
    ],
)
def test_every_commit_raises_the_version_of_its_table_only(
    sql: Statements, statement: str, request: pytest.FixtureRequest
) -> None:
    sql("INSERT INTO d.one VALUES (1, 1); INSERT INTO d.two VALUES (1, 1)")
    sql("CREATE TABLE IF NOT EXISTS d.other (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    before, other = version(sql), version(sql, "other")
    sql(statement.format(label=f"label_{abs(hash(request.node.name))}"))
    assert version(sql) > before
    assert version(sql, "other") == other


def test_reads_rollbacks_and_refused_statements_raise_nothing(sql: Statements) -> None:
    sql("INSERT INTO d.one VALUES (1, 1)")
    before = version(sql)
    sql("SELECT * FROM d.one; BEGIN; INSERT INTO d.one VALUES (2, 2); ROLLBACK")
    with pytest.raises(Exception, match="NULL"):
        sql("INSERT INTO d.one VALUES (NULL, 1)")
    assert version(sql) == before


def test_a_table_that_takes_a_name_never_has_the_version_of_the_one_before(sql: Statements) -> None:
    seen = []
    for number in range(4):
        sql(f"INSERT INTO d.two VALUES ({number}, 1); ALTER TABLE d.one SWAP WITH two")
        seen.append(version(sql))
    assert seen == sorted(set(seen))


def test_a_version_is_never_ahead_of_the_rows(sql: Statements) -> None:
    before = version(sql)
    with sql.store.write() as connection:
        connection.execute("INSERT INTO d.one VALUES (1, 1)")
        relation = sql.store.catalog.relation("d", "one")
        assert relation is not None
        sql.store.note_change(relation.id)
        assert version(sql, "one") == before
    assert version(sql) > before


def test_a_refreshed_view_has_a_new_version(sql: Statements) -> None:
    sql("DROP MATERIALIZED VIEW IF EXISTS d.m")
    sql("CREATE MATERIALIZED VIEW d.m REFRESH MANUAL AS SELECT k FROM d.one")
    before = version(sql, "m")
    sql("INSERT INTO d.one VALUES (1, 1); REFRESH MATERIALIZED VIEW d.m WITH SYNC MODE")
    assert version(sql, "m") > before
    assert sql(QUERY.format("m"))[0][3] == 1


def test_partitions_and_their_rows_follow_what_was_committed(sql: Statements) -> None:
    sql("DROP TABLE IF EXISTS d.days")
    sql(
        "CREATE TABLE d.days (at DATETIME NOT NULL, v INT) DUPLICATE KEY(at) "
        "PARTITION BY date_trunc('day', at) DISTRIBUTED BY HASH(at)"
    )
    rows = "SELECT PARTITION_NAME, ROW_COUNT FROM information_schema.partitions_meta "
    rows += "WHERE TABLE_NAME = 'days' ORDER BY 1"
    assert sql(rows) == []
    sql("INSERT INTO d.days VALUES ('2026-11-20 01:00:00', 1), ('2026-11-21 01:00:00', 1)")
    assert sql(rows) == [("p20261120", 1), ("p20261121", 1)]
    sql("DELETE FROM d.days WHERE at < '2026-11-21 00:00:00'")
    assert sql(rows) == [("p20261121", 1)]
    sql("DROP TABLE d.days")
    assert sql(rows) == []


def test_versions_rise_over_restarts_and_over_a_crash(tmp_path: Path) -> None:
    versions = []
    for _ in range(3):
        store = Store(Engine(tmp_path, "256MB", 1), "secret", "")
        versions.append(store.versions.of(1))
        store.versions.note(1)
        versions.append(store.versions.of(1))
        store.engine.close()
    assert versions == sorted(set(versions))


@pytest.mark.integration
def test_versions_rise_with_loads_and_over_a_kill(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        server.query("CREATE DATABASE d")
        server.query(
            "CREATE TABLE d.t (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)"
        )
        seen = [_over_wire(server)]
        assert server.load("d.t", [{"k": 1, "v": 1}])["Status"] == "Success"
        seen.append(_over_wire(server))
        for operation in ("begin", "load", "prepare", "commit"):
            server.transaction(operation, "label-1", "d.t", [{"k": 2, "v": 2}])
        seen.append(_over_wire(server))
        server.kill()
        server.start()
        seen.append(_over_wire(server))
        assert seen == sorted(set(seen))


def _over_wire(server: RunningServer) -> int:
    return int(server.query(QUERY.format("t"))[0][2])
