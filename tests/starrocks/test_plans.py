"""Kept plans and rows made by DuckDB: the same answers as without them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_starrocks.errors import SqlError
from embedded_starrocks.mysql.resultset import ResultColumn, text_rows
from embedded_starrocks.mysql.wiresql import encoding_sql
from tests.starrocks.conftest import Statements


@pytest.fixture(scope="module", autouse=True)
def _table(sql: Statements) -> None:
    sql("CREATE TABLE d.n (k BIGINT NOT NULL, s STRING, b BOOLEAN) PRIMARY KEY (k)")
    sql("INSERT INTO d.n VALUES (0, '5', true), (5, '5', false), (70000, 'x', true)")


def test_numbers_of_a_kept_plan_are_those_of_the_statement(sql: Statements) -> None:
    for _ in range(2):
        for k in (0, 5, 70000, 6):
            expected = [(k,)] if k != 6 else []
            assert sql(f"SELECT k FROM d.n WHERE k = {k}") == expected
            assert sql(f"SELECT k + 1 FROM d.n WHERE k >= {k} AND k <= {k}") == [
                (each + 1,) for (each,) in expected
            ]
    # A number that names the result, or stands elsewhere, is no place for another.
    assert sql("SELECT k = 5 FROM d.n WHERE k = 5") == sql("SELECT k = 5 FROM d.n WHERE k = 5")
    assert sql("SELECT count(*) FROM d.n LIMIT 1") == [(3,)]
    assert sql("SELECT s FROM d.n ORDER BY k LIMIT 2") == [("5",), ("5",)]
    assert sql("SELECT s FROM d.n ORDER BY k LIMIT 1") == [("5",)]


def test_a_kept_plan_ends_with_its_table_and_its_rights(sql: Statements) -> None:
    sql("CREATE TABLE d.kept (k INT) DUPLICATE KEY (k); CREATE USER planner IDENTIFIED BY 'p'")
    sql("GRANT SELECT ON TABLE d.kept TO USER planner")
    session = sql.session("planner")
    for _ in range(2):
        assert sql("SELECT * FROM d.kept WHERE k = 1", session) == []
    sql("ALTER TABLE d.kept ADD COLUMN w INT; INSERT INTO d.kept VALUES (1, 2)")
    assert sql("SELECT * FROM d.kept WHERE k = 1", session) == [(1, 2)]
    sql("REVOKE SELECT ON TABLE d.kept FROM USER planner")
    with pytest.raises(SqlError):
        sql("SELECT * FROM d.kept WHERE k = 1", session)
    sql("DROP TABLE d.kept")
    with pytest.raises(SqlError):
        sql("SELECT * FROM d.kept WHERE k = 1")


def test_variables_and_databases_are_read_each_time(sql: Statements) -> None:
    sql("CREATE DATABASE second; CREATE TABLE second.n (k INT) DUPLICATE KEY (k)")
    session = sql.session("root")
    sql("SET @x = 1; USE d", session)
    assert sql("SELECT @x", session) == [(1,)]
    assert sql("SELECT count(*) FROM n", session) == [(3,)]
    sql("SET @x = 2; USE second", session)
    assert sql("SELECT @x", session) == [(2,)]
    assert sql("SELECT count(*) FROM n", session) == [(0,)]
    assert sql("SELECT database()", session) == [("second",)]


_DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
_TYPES: list[tuple[str, Any]] = [
    ("TINYINT", st.integers(-128, 127)),
    ("BIGINT", st.integers(-(2**63), 2**63 - 1)),
    ("BOOLEAN", st.booleans()),
    ("DOUBLE", _DOUBLES),
    ("DECIMAL(18,4)", st.decimals(-(10**13), 10**13, places=4)),
    ("DATE", st.dates()),
    ("TIMESTAMP", st.datetimes()),
    ("VARCHAR", st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_rows_made_by_duckdb_are_those_of_python(sql: Statements, data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.tuples(*(st.none() | values for _, values in _TYPES)), min_size=1, max_size=5)
    )
    connection = sql.store.engine.reader()
    columns = [ResultColumn(f"c{i}", kind) for i, (kind, _) in enumerate(_TYPES)]
    casts = ", ".join(f"CAST(${i + 1} AS {kind})" for i, (kind, _) in enumerate(_TYPES))
    encoded = encoding_sql(f"SELECT {casts}", columns)
    assert encoded is not None
    for row in rows:
        values = connection.execute(f"SELECT {casts}", list(row)).fetchall()
        assert connection.execute(encoded, list(row)).fetchall() == [
            (payload,) for payload in text_rows(columns, values)
        ]
    assert not any(isinstance(each, float) and math.isnan(each) for row in rows for each in row)
    connection.close()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 250, 251, 65535, 65536, 16_777_216])
def test_lengths_of_text_are_written_as_the_protocol_says(sql: Statements, size: int) -> None:
    columns = [ResultColumn("t")]
    encoded = encoding_sql(f"SELECT repeat('x', {size})", columns)
    assert encoded is not None
    connection = sql.store.engine.reader()
    ((payload,),) = connection.execute(encoded).fetchall()
    connection.close()
    value = "x" * size
    if size < 65536:
        assert payload == text_rows(columns, [(value,)])[0]
    else:
        assert payload == b"\xfe" + size.to_bytes(8, "little") + value.encode()


def test_types_that_only_python_formats_are_left_to_it() -> None:
    for kind in ("HUGEINT", "FLOAT", "INTEGER[]", "BLOB"):
        assert encoding_sql("SELECT 1", [ResultColumn("a", kind)]) is None
