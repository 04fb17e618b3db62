"""Partitions: their bounds against a plain computation, batches, old files, dropped ones."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql.partitionbatch import batch, week_name
from embedded_starrocks.sql.partitions import rows_of
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Column, Relation
from embedded_starrocks.storage.partitions import Partition
from tests.starrocks.conftest import Statements
from tests.starrocks.running import RunningServer

INT, DATE = ColumnType("INT"), ColumnType("DATE")
PAIRS = st.tuples(st.integers(0, 4), st.integers(0, 4))
VALUES = st.tuples(st.none() | st.integers(-1, 5), st.none() | st.integers(-1, 5))


@pytest.mark.integration
@given(bounds=st.sets(PAIRS, min_size=2, max_size=5), row=VALUES)
@settings(max_examples=30, deadline=None)
def test_a_row_is_in_the_range_that_plain_comparison_finds(
    sql: Statements, bounds: set[tuple[int, int]], row: tuple[int | None, int | None]
) -> None:
    """RANGE over two columns, NULL below everything, the first range open below."""
    edges = sorted(bounds)
    texts = [tuple(str(part) for part in edge) for edge in edges]
    parts = [Partition(name="p0", lower=None, upper=texts[0])]
    parts += [
        Partition(name=f"p{index}", lower=low, upper=high)
        for index, (low, high) in enumerate(itertools.pairwise(texts), start=1)
    ]
    relation = Relation(
        db="d",
        name="t",
        kind="TABLE",
        columns=(Column(name="a", type=INT), Column(name="b", type=INT)),
        partition_by="RANGE(`a`, `b`)",
        partitions=tuple(parts),
    )
    conditions = ", ".join(rows_of(sql.store.catalog, relation, (each.name,)) for each in parts)
    query = f"SELECT [{conditions}] FROM (SELECT CAST(? AS INTEGER) AS a, CAST(? AS INTEGER) AS b)"
    ((found,),) = sql.context.session.connection.execute(query, list(row)).fetchall()
    key = tuple(-100 if part is None else part for part in row)
    expected = [key < edges[0]]
    expected += [low <= key < high for low, high in itertools.pairwise(edges)]
    assert found == expected


@pytest.mark.parametrize(
    ("start", "end", "step", "unit", "expected"),
    [
        (
            "2026-01-30",
            "2026-02-02",
            1,
            "DAY",
            [
                ("p20260130", "2026-01-30", "2026-01-31"),
                ("p20260131", "2026-01-31", "2026-02-01"),
                ("p20260201", "2026-02-01", "2026-02-02"),
            ],
        ),
        (
            "2025-11-15",
            "2026-02-01",
            1,
            "MONTH",
            [
                ("p202511", "2025-11-15", "2025-12-01"),
                ("p202512", "2025-12-01", "2026-01-01"),
                ("p202601", "2026-01-01", "2026-02-01"),
            ],
        ),
        ("2026-03-01", "2027-01-01", 1, "YEAR", [("p2026", "2026-03-01", "2027-01-01")]),
        (
            "2026-01-07",
            "2026-01-20",
            1,
            "WEEK",
            [
                ("p2026_02", "2026-01-05", "2026-01-12"),
                ("p2026_03", "2026-01-12", "2026-01-19"),
                ("p2026_04", "2026-01-19", "2026-01-20"),
            ],
        ),
    ],
)
def test_a_batch_has_the_documented_names_and_bounds(
    start: str, end: str, step: int, unit: str, expected: list[tuple[str, str, str]]
) -> None:
    assert batch(DATE, start, end, step, unit, "p") == expected


def test_a_batch_that_makes_no_sense_is_refused() -> None:
    for start, end, step, unit in (
        ("2026-01-02", "2026-01-01", 1, "DAY"),
        ("2000-01-01", "2026-01-01", 1, "DAY"),
        ("2026-01-01", "2026-01-02", 1, "HOUR"),
        ("2026-01-01", "2026-01-02", 1, "QUARTER"),
        ("2026-01-01", "2026-01-02", 1, ""),
    ):
        with pytest.raises(SqlError):
            batch(DATE, start, end, step, unit, "p")


def test_the_last_days_of_a_year_are_in_its_last_week() -> None:
    assert week_name(datetime.date(2019, 12, 30)) == "2019_53"
    assert week_name(datetime.date(2026, 1, 5)) == "2026_02"


@pytest.mark.integration
def test_partitions_of_an_older_file_are_read_when_it_is_opened(tmp_path: Path) -> None:
    """Layout 2 kept PARTITION BY RANGE (...) (...) as text and checked no row."""
    old = Statements(tmp_path)
    old("CREATE DATABASE d; USE d")
    for name in ("t", "odd"):
        old(f"CREATE TABLE {name} (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    texts = {"t": 'RANGE(k) (PARTITION p1 VALUES LESS THAN ("10"))', "odd": "RANGE(nothing) ()"}
    with old.store.write() as connection:
        connection.execute("UPDATE __starrocks.layout SET version = 2")
        for name, text in texts.items():
            connection.execute(
                "UPDATE __starrocks.relations SET partition_by = ? WHERE name = ?", [text, name]
            )
    old.close()
    new = Statements(tmp_path)
    try:
        new("USE d; INSERT INTO t VALUES (9, 1); INSERT INTO odd VALUES (99, 1)")
        with pytest.raises(SqlError, match="out of partition ranges"):
            new("INSERT INTO t VALUES (10, 1)")
        assert 'PARTITION p1 VALUES [("-2147483648"), ("10"))' in new("SHOW CREATE TABLE t")[0][1]
    finally:
        new.close()


def test_a_transaction_is_refused_when_a_partition_of_it_was_dropped(sql: Statements) -> None:
    sql(
        "CREATE TABLE gone (k INT, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) "
        '(START ("0") END ("30") EVERY (10)) DISTRIBUTED BY HASH(k)'
    )
    other = sql.session("root")
    other.session.database = "d"
    sql("BEGIN; INSERT INTO gone VALUES (5, 1)", other)
    sql("ALTER TABLE gone ADD PARTITION p30 VALUES LESS THAN ('40')")
    sql("ALTER TABLE gone DROP PARTITION p0")
    with pytest.raises(SqlError, match="was changed meanwhile"):
        sql("COMMIT", other)
    assert sql("SELECT count(*) FROM gone") == [(0,)]


def test_partitions_are_seen_by_those_who_see_the_table(sql: Statements) -> None:
    sql("CREATE TABLE seen (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    sql("CREATE USER viewer IDENTIFIED BY 'x'; GRANT SELECT ON d.seen TO viewer")
    viewer = sql.session("viewer")
    assert sql("SELECT TABLE_NAME FROM information_schema.partitions_meta", viewer) == [("seen",)]
    sql("CREATE TABLE hidden (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    for statement in (
        "SHOW PARTITIONS FROM d.hidden",
        "ALTER TABLE d.seen ADD PARTITION p VALUES LESS THAN ('1')",
        "TRUNCATE TABLE d.seen PARTITION(seen)",
    ):
        with pytest.raises(SqlError) as refused:
            sql(statement, viewer)
        assert refused.value.code == 1142


@pytest.mark.integration
def test_a_prepared_load_leaves_out_partitions_that_were_dropped_since(
    server: RunningServer,
) -> None:
    server.query(
        "CREATE TABLE d.kept (k INT, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) "
        "(START ('0') END ('30') EVERY (10)) DISTRIBUTED BY HASH(k)"
    )
    for operation in ("begin", "load", "prepare"):
        rows = [{"k": 5, "v": 1}, {"k": 15, "v": 2}]
        assert server.transaction(operation, "later", "d.kept", rows)["Status"] == "OK"
    server.query("ALTER TABLE d.kept DROP PARTITION p0")
    server.kill()
    server.start()
    assert server.transaction("commit", "later", "d.kept")["Status"] == "OK"
    assert server.query("SELECT k FROM d.kept") == [(15,)]
    with pytest.raises(pymysql.err.ProgrammingError, match="out of partition ranges"):
        server.query("INSERT INTO d.kept VALUES (5, 1)")
