"""Hostile input: packets cut anywhere, statements of any text. An error is told, nothing else."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from embedded_starrocks.errors import SqlError
from embedded_starrocks.mysql.handshake import parse_login
from embedded_starrocks.mysql.packets import (
    PayloadReader,
    ProtocolError,
    lenenc_bytes,
    lenenc_int,
)
from embedded_starrocks.mysql.prepared import Statements as Prepared
from embedded_starrocks.mysql.resultset import ResultColumn, format_double, format_float, text_rows
from tests.starrocks.conftest import Statements

_PIECES = """
SELECT FROM WHERE INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE VIEW DATABASE DROP ALTER ADD
COLUMN SHOW DESC KILL GRANT REVOKE USER TO ON ALL USE REFRESH SUBMIT TASK AS ( ) , . ; * = + - / %
' " ` @ @@ ? : -> [ ] { } 1 0 -1 1.5 NULL TRUE x q d d.q k n tags count(*) sum(n) read_csv('x')
now() interval 1 day unnest(tags) over (order by k)
"""
WORDS = [
    *_PIECES.split(),
    "'text'",
    "/*+SET_VAR(a=b)*/",
    "--",
    "PRIMARY KEY (k)",
    "DISTRIBUTED BY HASH(k)",
    "INT",
    "VARCHAR(10)",
]


@given(st.integers(0, 2**64 - 1), st.binary(max_size=400))
def test_length_encoded_values_come_back(number: int, data: bytes) -> None:
    reader = PayloadReader(lenenc_int(number) + lenenc_bytes(data) + b"rest")
    assert reader.lenenc_int() == number
    assert reader.lenenc_bytes() == data
    assert reader.rest() == b"rest"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_login_or_a_clear_error(payload: bytes) -> None:
    with contextlib.suppress(ProtocolError, SqlError):
        login = parse_login(payload)
        assert login.user.encode("utf-8", "replace") is not None


@given(st.binary(max_size=100))
def test_any_bytes_are_parameters_or_a_clear_error(payload: bytes) -> None:
    prepared = Prepared()
    statement = prepared.add("SELECT ?, '?', ? -- ?")
    assert len(statement.positions) == 2
    with contextlib.suppress(ProtocolError, SqlError):
        tokens, sql = prepared.bound(statement.id.to_bytes(4, "little") + payload)
        assert tokens
        assert sql.startswith("SELECT ")


@given(st.lists(st.tuples(st.one_of(st.none(), st.text(max_size=300))), max_size=5))
def test_text_rows_can_be_read_back(rows: list[tuple[str | None]]) -> None:
    for payload, (value,) in zip(text_rows([ResultColumn("c")], rows), rows, strict=True):
        if value is None:
            assert payload == b"\xfb"
        else:
            assert PayloadReader(payload).lenenc_bytes().decode("utf-8", "surrogatepass") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_reads_back_as_itself(value: float) -> None:
    assert float(format_double(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_reads_back_in_single_precision(value: float) -> None:
    import struct

    text = float(format_float(value))
    assert struct.pack("<f", text) == struct.pack("<f", value)


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
def test_any_text_is_answered_or_refused_with_an_sql_error(sql: Statements, text: str) -> None:
    with contextlib.suppress(SqlError):
        sql(text)
    assert sql("SELECT 1") == [(1,)]
