"""Prepared statements: what a client hears of columns before it executes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mysql.connector
import pytest

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql.executor import execute
from embedded_starrocks.sql.prepare import filled, result_columns
from tests.starrocks.conftest import Statements
from tests.starrocks.running import RunningServer, native


@pytest.fixture
def connection(server: RunningServer) -> Iterator[Any]:
    found = native(server, database="d")
    yield found
    found.close()


@pytest.mark.integration
def test_a_prepared_query_says_its_columns_before_it_runs(connection: Any) -> None:
    answer = connection.cmd_stmt_prepare(b"SELECT ? + 1 AS a, 'x' AS b, DATE '2026-01-01' AS c")
    assert answer["num_columns"] == 3
    assert answer["num_params"] == 1
    assert [column[0] for column in answer["columns"]] == ["a", "b", "c"]
    shown = connection.cmd_stmt_prepare(b"SHOW DATABASES")
    assert [column[0] for column in shown["columns"]] == ["Database"]
    assert connection.cmd_stmt_prepare(b"SET @a = ?")["num_columns"] == 0


@pytest.mark.integration
def test_a_statement_over_an_unknown_table_is_refused_when_it_is_prepared(connection: Any) -> None:
    with pytest.raises(mysql.connector.Error) as refused:
        connection.cmd_stmt_prepare(b"SELECT * FROM nowhere WHERE a = ?")
    assert refused.value.errno == 1146
    with connection.cursor(prepared=True) as cursor:
        cursor.execute("SELECT ? AS a", (5,))
        assert cursor.fetchall() == [(5,)]


def test_a_parameter_whose_value_matters_leaves_columns_open(sql: Statements) -> None:
    """`date_format` needs its format to be planned: nothing is said, and nothing is refused."""
    columns = result_columns(sql.context, "SELECT date_format(now(), ?) AS a", execute)
    assert [column.name for column in columns] in ([], ["a"])
    limited = result_columns(sql.context, "SELECT 1 AS a LIMIT ?", execute)
    assert [column.name for column in limited] == ["a"]
    assert result_columns(sql.context, "INSERT INTO d.t VALUES (?)", execute) == []


def test_values_stand_where_the_marks_stood() -> None:
    text = "SELECT ?, '?', ? FROM t -- ?"
    assert filled(text, [7, 15], ["1", "'?'"]) == "SELECT 1, '?', '?' FROM t -- ?"


def test_prepared_text_is_one_statement_and_of_its_session(sql: Statements) -> None:
    sql("PREPARE one FROM 'SELECT 1'")
    assert sql("EXECUTE one") == [(1,)]
    with pytest.raises(SqlError) as unknown:
        sql("EXECUTE one", sql.session("root"))
    assert unknown.value.code == 1243
    for statement in ("PREPARE two FROM 'SELECT 1; SELECT 2'", "PREPARE two FROM 'EXECUTE one'"):
        with pytest.raises(SqlError):
            sql(statement)


def test_a_global_variable_is_for_sessions_to_come_and_survives_a_start(sql: Statements) -> None:
    sql("SET GLOBAL pipeline_dop = 3")
    assert sql("SELECT @@pipeline_dop, @@global.pipeline_dop") == [(0, 3)]
    assert sql("SELECT @@pipeline_dop", sql.session("root")) == [(3,)]
    with sql.store.write() as connection:
        rows = connection.execute("SELECT name, value FROM __starrocks.variables").fetchall()
    assert rows == [("pipeline_dop", "3")]
    sql("SET GLOBAL pipeline_dop = 0")
