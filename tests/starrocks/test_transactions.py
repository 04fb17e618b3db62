"""BEGIN, COMMIT, ROLLBACK and labels of INSERT, as StarRocks 3.5 has them."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from tests.starrocks.conftest import Statements


@pytest.fixture(autouse=True)
def _tables(sql: Statements) -> None:
    for name in ("x1", "x2"):
        sql(f"DROP TABLE IF EXISTS d.{name}")
        sql(f"CREATE TABLE d.{name} (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")


def test_a_transaction_shows_all_its_rows_at_once_or_none(sql: Statements) -> None:
    writer, reader = sql.session("root"), sql.session("root")
    sql("INSERT INTO d.x1 VALUES (1, 1)")
    sql("BEGIN WORK", writer)
    assert sql("INSERT INTO d.x1 VALUES (1, 2), (2, 2)", writer) == [(2,)]
    sql("INSERT INTO d.x2 SELECT * FROM d.x1", writer)
    # Neither the others nor the transaction itself see its rows yet.
    assert sql("SELECT * FROM d.x1", writer) == sql("SELECT * FROM d.x1", reader) == [(1, 1)]
    sql("COMMIT", writer)
    assert sql("SELECT * FROM d.x1 ORDER BY k", reader) == [(1, 2), (2, 2)]
    assert sql("SELECT * FROM d.x2", reader) == [(1, 1)]


def test_rollback_and_a_closed_session_leave_nothing(sql: Statements) -> None:
    for end in ("ROLLBACK", ""):
        session = sql.session("root")
        sql("START TRANSACTION; INSERT INTO d.x1 VALUES (9, 9)", session)
        if end:
            sql(end, session)
        session.session.close()
        assert sql("SELECT count(*) FROM d.x1") == [(0,)]
        assert sql.store.engine.reader().execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = '__stage'"
        ).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO d.x1 VALUES (2, 2)",
        "INSERT OVERWRITE d.x2 VALUES (2, 2)",
        "UPDATE d.x1 SET v = 1 WHERE k = 1",
        "DELETE FROM d.x1 WHERE k = 1",
        "CREATE TABLE d.x3 (k INT)",
        "DROP TABLE d.x1",
        "TRUNCATE TABLE d.x1",
    ],
)
def test_a_transaction_takes_one_insert_for_each_table(sql: Statements, statement: str) -> None:
    session = sql.session("root")
    sql("BEGIN; INSERT INTO d.x1 VALUES (1, 1)", session)
    with pytest.raises(SqlError):
        sql(statement, session)
    sql("COMMIT", session)
    assert sql("SELECT * FROM d.x1") == [(1, 1)]


def test_commit_outside_of_a_transaction_does_nothing(sql: Statements) -> None:
    assert sql("COMMIT") == [(0,)]
    assert sql("ROLLBACK WORK") == [(0,)]


def test_a_label_names_one_insert_for_ever(sql: Statements) -> None:
    sql("INSERT INTO d.x1 WITH LABEL once (k, v) VALUES (1, 1)")
    with pytest.raises(SqlError, match="already been used"):
        sql("INSERT INTO d.x1 WITH LABEL once SELECT 2, 2")
    with pytest.raises(SqlError):
        sql("INSERT INTO d.x1 WITH LABEL failed SELECT 'x', 2")
    sql("INSERT INTO d.x1 WITH LABEL failed SELECT 3, 3")
    assert sql("SELECT k FROM d.x1 ORDER BY k") == [(1,), (3,)]
    assert sql(
        "SELECT LABEL, STATE, TYPE, SINK_ROWS FROM information_schema.loads "
        "WHERE LABEL = 'once' ORDER BY 1"
    ) == [("once", "FINISHED", "INSERT", 1)]


def test_a_table_that_changed_meanwhile_fails_the_commit(sql: Statements) -> None:
    session = sql.session("root")
    sql("BEGIN; INSERT INTO d.x1 VALUES (1, 1); INSERT INTO d.x2 VALUES (1, 1)", session)
    sql("ALTER TABLE d.x2 ADD COLUMN w INT")
    with pytest.raises(SqlError):
        sql("COMMIT", session)
    assert sql("SELECT count(*) FROM d.x1") == [(0,)]
