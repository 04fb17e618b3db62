"""Window tables: keys, SQL and the DDL that StarRocks gets."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from emdata.derive.starrocks import RAW_DATABASE
from flink_jobs.windows import (
    WindowTable,
    correction_days,
    endless_datasets,
    window_columns,
    window_insert_sql,
    window_table_ddl,
    window_tables,
    window_view_ddl,
    windowed_datasets,
)
from tests.flink.datasets import Reading

HASH = "0123456789abcdef"
TABLES = window_tables()
# StarRocks refuses a longer encoded primary key.
PRIMARY_KEY_LIMIT = 128
BYTES = {"DATE": 4, "DATETIME": 8, "BIGINT": 8}


@pytest.fixture(params=TABLES, ids=[table.name for table in TABLES])
def table(request: pytest.FixtureRequest) -> WindowTable:
    chosen: WindowTable = request.param
    return chosen


def test_the_promised_windows_exist() -> None:
    assert {table.name for table in TABLES} == {
        "alerts_hourly",
        "disaster_alerts_hourly",
        "disaster_alerts_daily",
        "weather_station_daily",
        "aggregated_emission",
    }


def test_the_ddl_parses_and_its_primary_key_leads_the_columns(table: WindowTable) -> None:
    parsed = sqlglot.parse_one(window_table_ddl(table, HASH), read="starrocks")
    assert isinstance(parsed, exp.Create)
    columns = [column.name for column in parsed.find_all(exp.ColumnDef)]
    key = [column.name for column in parsed.find(exp.PrimaryKey).expressions]
    assert key == [column.name for column in table.keys]
    assert columns[: len(key)] == key
    assert parsed.find(exp.Table).sql() == f"{RAW_DATABASE}.{table.name}__01234567"


def test_the_primary_key_fits_starrocks_limit(table: WindowTable) -> None:
    widths = [
        BYTES.get(column.types.starrocks) or int(column.types.starrocks[8:-1]) + 2
        for column in table.keys
    ]
    assert sum(widths) <= PRIMARY_KEY_LIMIT


def test_the_view_shows_every_column_of_the_physical_table(table: WindowTable) -> None:
    parsed = sqlglot.parse_one(window_view_ddl(table, HASH), read="starrocks")
    shown = [column.name for column in parsed.find(exp.Select).expressions]
    assert shown == [column.name for column in (*table.keys, *table.measures)]
    assert parsed.find(exp.From).this.name == table.physical(HASH)


def test_every_table_and_column_is_described(table: WindowTable) -> None:
    assert len(table.comment) > 40
    assert all(column.comment for column in (*table.keys, *table.measures))


def test_a_key_is_never_null(table: WindowTable) -> None:
    nullable = {column.name: column.nullable for column in window_columns(table)}
    assert not any(nullable[column.name] for column in table.keys)


def test_a_version_wins_by_version_then_sequence_then_writer() -> None:
    sql = window_insert_sql(_over_readings(), Reading, 40)
    assert "ORDER BY `record_version` DESC, `seq` DESC, `writer` DESC" in sql


def test_corrections_end_before_the_state_does() -> None:
    sql = window_insert_sql(_over_readings(), Reading, 40)
    assert "`accepted_at` < TIMESTAMPADD(DAY, 39, `read_at`)" in sql
    assert [correction_days(days) for days in (1, 2, 40)] == [1, 1, 39]


def test_no_window_depends_on_the_clock(table: WindowTable) -> None:
    text = " ".join(column.expression for column in (*table.keys, *table.measures)) + table.where
    assert not any(word in text.upper() for word in ("NOW(", "CURRENT_", "PROCTIME", "LOCALTIME"))


def test_topics_of_windows_without_an_end_are_a_part_of_the_windowed_ones() -> None:
    assert endless_datasets() == {"emission", "fema_disaster_declarations"}
    assert endless_datasets() < windowed_datasets()


def _over_readings() -> WindowTable:
    day = next(column for column in TABLES[0].keys if column.name == "window_start")
    return WindowTable(
        "w", "gauge_readings", "gauge", "c", (day,), TABLES[0].measures, event_time="read_at"
    )
