"""Materialized views and tasks that run by themselves, and those that wait for a command."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql.mviews import Schedule, parse_schedule
from embedded_starrocks.sql.schedule import Scheduler, utc_now
from tests.starrocks.conftest import Statements
from tests.starrocks.running import RunningServer
from tests.support.waiting import wait_for


@pytest.fixture
def at(sql: Statements) -> Callable[[float], None]:
    """Lets the scheduler look as it would so many seconds from now."""
    now = [utc_now()]
    scheduler = Scheduler(sql.store, sql.sessions, now=lambda: now[0])

    def look(seconds: float) -> None:
        now[0] = utc_now() + datetime.timedelta(seconds=seconds)
        scheduler.run_due()

    return look


@pytest.fixture(autouse=True)
def _tables(sql: Statements) -> None:
    sql("DROP MATERIALIZED VIEW IF EXISTS d.m; DROP TABLE IF EXISTS d.base FORCE")
    sql("CREATE TABLE d.base (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.base VALUES (1, 1)")


def view(sql: Statements, clause: str) -> None:
    sql(f"CREATE MATERIALIZED VIEW d.m {clause} AS SELECT sum(v) AS total FROM d.base")


def test_a_scheduled_view_is_refreshed_when_its_time_has_come(
    sql: Statements, at: Callable[[float], None]
) -> None:
    view(sql, "REFRESH ASYNC EVERY (INTERVAL 1 HOUR)")
    sql("INSERT INTO d.base VALUES (2, 10)")
    at(3500)
    assert sql("SELECT total FROM d.m") == [(1,)]
    at(3601)
    assert sql("SELECT total FROM d.m") == [(11,)]
    assert sql(
        "SELECT LAST_REFRESH_STATE FROM information_schema.materialized_views "
        "WHERE TABLE_NAME = 'm'"
    ) == [("SUCCESS",)]


def test_a_view_without_times_follows_its_tables(
    sql: Statements, at: Callable[[float], None]
) -> None:
    sql("CREATE VIEW d.between_ AS SELECT k, v FROM d.base")
    sql("CREATE MATERIALIZED VIEW d.m REFRESH ASYNC AS SELECT sum(v) AS total FROM d.between_")
    at(0)
    for statement, total in (
        ("INSERT INTO d.base VALUES (2, 10)", 11),
        ("UPDATE d.base SET v = 20 WHERE k = 2", 21),
        ("DELETE FROM d.base WHERE k = 1", 20),
        ("INSERT OVERWRITE d.base VALUES (7, 7)", 7),
        ("TRUNCATE TABLE d.base", None),
    ):
        sql(statement)
        at(0)
        assert sql("SELECT total FROM d.m") == [(total,)], statement
    sql("DROP MATERIALIZED VIEW d.m; DROP VIEW d.between_")


def test_manual_and_inactive_views_wait(sql: Statements, at: Callable[[float], None]) -> None:
    view(sql, "REFRESH DEFERRED MANUAL")
    assert sql("SELECT * FROM d.m") == []
    at(10**6)
    assert sql("SELECT * FROM d.m") == []
    sql("REFRESH MATERIALIZED VIEW d.m WITH SYNC MODE")
    assert sql("SELECT * FROM d.m") == [(1,)]
    sql("ALTER MATERIALIZED VIEW d.m REFRESH ASYNC EVERY (INTERVAL 1 MINUTE)")
    sql("ALTER MATERIALIZED VIEW d.m INACTIVE; INSERT INTO d.base VALUES (5, 5)")
    at(10**6)
    assert sql("SELECT * FROM d.m") == [(1,)]
    sql("ALTER MATERIALIZED VIEW d.m ACTIVE")
    at(10**6)
    assert sql("SELECT * FROM d.m") == [(6,)]


def test_a_view_whose_table_is_gone_is_inactive_and_says_why(
    sql: Statements, at: Callable[[float], None]
) -> None:
    view(sql, "REFRESH ASYNC EVERY (INTERVAL 1 SECOND)")
    sql("DROP TABLE d.base")
    at(100)
    assert sql(
        "SELECT IS_ACTIVE, LAST_REFRESH_STATE FROM information_schema.materialized_views "
        "WHERE TABLE_NAME = 'm'"
    ) == [("false", "FAILED")]
    with pytest.raises(SqlError):
        sql("REFRESH MATERIALIZED VIEW d.m")
    # What it held stays readable.
    assert sql("SELECT * FROM d.m") == [(1,)]


def test_a_synchronous_view_is_always_fresh(sql: Statements) -> None:
    view(sql, "")
    sql("INSERT INTO d.base VALUES (2, 10)")
    assert sql("SELECT total FROM d.m") == [(11,)]
    with pytest.raises(SqlError):
        sql("REFRESH MATERIALIZED VIEW d.m")
    shown = sql("SHOW CREATE MATERIALIZED VIEW d.m")[0][1]
    sql("DROP MATERIALIZED VIEW d.m")
    sql(shown.replace("`m`", "`d`.`m`", 1))
    assert sql("SHOW CREATE MATERIALIZED VIEW d.m")[0][1] == shown
    assert sql("SELECT total FROM d.m") == [(11,)]


@pytest.mark.parametrize(
    "clause",
    [
        "DISTRIBUTED BY HASH(total) REFRESH ASYNC START ('2026-01-01 00:00:00') "
        "EVERY (INTERVAL 2 DAY)",
        "COMMENT 'c' REFRESH DEFERRED MANUAL PROPERTIES ('replication_num' = '1')",
        "REFRESH ASYNC",
    ],
)
def test_show_create_makes_the_same_view_again(sql: Statements, clause: str) -> None:
    view(sql, clause)
    shown = sql("SHOW CREATE MATERIALIZED VIEW d.m")[0][1]
    sql("DROP MATERIALIZED VIEW d.m")
    sql(shown.replace("`m`", "`d`.`m`", 1))
    assert sql("SHOW CREATE MATERIALIZED VIEW d.m")[0][1] == shown


def test_a_task_runs_on_its_schedule_with_its_owners_rights(
    sql: Statements, at: Callable[[float], None]
) -> None:
    sql("CREATE TABLE d.log_ (n INT) DUPLICATE KEY (n); CREATE USER tasker IDENTIFIED BY 'p'")
    sql("GRANT INSERT ON TABLE d.log_ TO USER tasker")
    tasker = sql.session("tasker")
    every = "SCHEDULE EVERY (INTERVAL 60 SECOND)"
    sql(f"SUBMIT TASK good {every} AS INSERT INTO d.log_ VALUES (1)", tasker)
    sql(f"SUBMIT TASK bad {every} AS INSERT INTO d.base VALUES (9, 9)", tasker)
    at(61)
    assert sql("SELECT count(*) FROM d.log_") == [(1,)]
    assert sql("SELECT count(*) FROM d.base") == [(1,)]
    runs = (
        "SELECT TASK_NAME, STATE FROM information_schema.task_runs "
        "WHERE TASK_NAME IN ('good', 'bad') ORDER BY TASK_NAME"
    )
    assert sql(runs) == [("bad", "FAILED"), ("good", "SUCCESS")]
    at(61)
    assert sql("SELECT count(*) FROM d.log_") == [(1,)]
    at(200)
    assert sql("SELECT count(*) FROM d.log_") == [(2,)]
    sql("DROP TASK good; DROP TASK bad")
    at(1000)
    assert sql("SELECT count(*) FROM d.log_") == [(2,)]
    for statement in (
        "SUBMIT TASK x AS DROP TABLE d.base",
        "SUBMIT TASK x SCHEDULE EVERY (INTERVAL 0 SECOND) AS INSERT INTO d.log_ VALUES (1)",
        "SUBMIT TASK x SCHEDULE START ('2026-01-01') AS INSERT INTO d.log_ VALUES (1)",
    ):
        with pytest.raises(SqlError):
            sql(statement)


START = datetime.datetime.fromisoformat("2026-01-01T00:00:00")


@given(every=st.integers(1, 10**6), last=st.integers(0, 10**8), wait=st.integers(0, 10**7))
def test_a_schedule_runs_once_for_each_planned_time(every: int, last: int, wait: int) -> None:
    schedule = Schedule(every, START)
    ran = START + datetime.timedelta(seconds=last)
    now = ran + datetime.timedelta(seconds=wait)
    # A run at a planned time itself was that time's run.
    assert schedule.is_due(ran, now) == ((last + wait) // every > last // every)
    assert not schedule.is_due(now, START - datetime.timedelta(seconds=1))


def test_unreadable_schedules_are_refused() -> None:
    assert parse_schedule("MANUAL") is None
    assert parse_schedule("ASYNC EVERY(INTERVAL '5' MINUTE)") == Schedule(300, None)
    for text in ("EVERY(INTERVAL 1 MOON)", "EVERY(1 HOUR)", "START('x') EVERY(INTERVAL 1 DAY)"):
        with pytest.raises(SqlError):
            parse_schedule(text)


@pytest.mark.integration
def test_a_running_server_refreshes_by_itself(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.start()
    try:
        server.query("CREATE DATABASE d")
        server.query("CREATE TABLE d.b (k INT NOT NULL) PRIMARY KEY (k)")
        server.query("CREATE MATERIALIZED VIEW d.m REFRESH ASYNC AS SELECT count(*) AS n FROM d.b")
        server.load("d.b", [{"k": 1}, {"k": 2}])
        wait_for(lambda: server.query("SELECT n FROM d.m") == [(2,)], 20, "the refresh")
    finally:
        assert server.stop() == 0
