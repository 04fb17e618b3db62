"""Rows cut out of the bytes of the MySQL protocol, whatever pieces they come in."""

from __future__ import annotations

import struct
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from api.query.model import Statement
from api.reading.connections import sql_of
from api.reading.rows import Broken, Refused, batches, converters

TYPES = (FIELD_TYPE.LONGLONG, FIELD_TYPE.VAR_STRING, FIELD_TYPE.DOUBLE, FIELD_TYPE.DATETIME)
EOF_PACKET = b"\xfe\0\0\2\0"
WHOLE = 0xFFFFFF

rows_of_any_kind = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.text(max_size=300),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.datetimes(),
    ),
    max_size=12,
)


class Pieces:
    """A socket that gives bytes in pieces of the given sizes, over and over."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = data, sizes, 0

    def read1(self, size: int, /) -> bytes:
        count = min(size, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        piece, self._data = self._data[:count], self._data[count:]
        return piece


def _packet(payload: bytes, number: int = 1) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload


def _value(value: Any) -> bytes:
    if value is None:
        return b"\xfb"
    text = value.isoformat(" ") if isinstance(value, datetime) else str(value)
    raw = text.encode()
    if len(raw) < 251:
        return bytes([len(raw)]) + raw
    if len(raw) < 1 << 16:
        return b"\xfc" + struct.pack("<H", len(raw)) + raw
    if len(raw) <= WHOLE:
        return b"\xfd" + len(raw).to_bytes(3, "little") + raw
    return b"\xfe" + len(raw).to_bytes(8, "little") + raw


def _result(rows: list[tuple[Any, ...]]) -> bytes:
    return b"".join(_packet(b"".join(map(_value, row))) for row in rows) + _packet(EOF_PACKET)


@given(rows_of_any_kind, st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_rows_are_the_same_in_whatever_pieces_they_come(
    rows: list[tuple[Any, ...]], sizes: list[int], size: int
) -> None:
    found = list(batches(Pieces(_result(rows), sizes), converters(TYPES), size))
    assert [row for batch in found for row in batch] == rows
    assert all(len(batch) == size for batch in found[:-1])


def test_values_have_the_types_of_their_columns() -> None:
    types = (FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.DATE, FIELD_TYPE.TINY, FIELD_TYPE.DATETIME)
    row = ("12345678901234567890.10", "2026-11-21", "1", "0000-01-01 00:00:00")
    ((found,),) = batches(Pieces(_result([row]), [1000]), converters(types), 10)
    # A year that Python has not stays text.
    expected = (Decimal("12345678901234567890.10"), date(2026, 11, 21), 1, "0000-01-01 00:00:00")
    assert found == expected


def test_an_end_within_the_rows_is_no_end() -> None:
    with pytest.raises(Broken):
        list(batches(Pieces(_result([(1, "a", 1.0, None)] * 3)[:-9], [10]), converters(TYPES), 1))


def test_an_error_behind_some_rows_is_raised() -> None:
    refusal = b"\xff" + struct.pack("<H", 1064) + b"#HY000Query reached its timeout"
    data = _result([(1, "a", 1.0, None)])[: -len(_packet(EOF_PACKET))] + _packet(refusal)
    with pytest.raises(Refused) as refused:
        list(batches(Pieces(data, [7]), converters(TYPES), 1))
    assert (refused.value.code, refused.value.text) == (1064, "Query reached its timeout")


def test_a_row_of_several_packets_is_one_row() -> None:
    large = "é" * (WHOLE // 2 + 100)
    payload = b"".join(map(_value, (7, large, None, None)))
    first, rest = payload[:WHOLE], payload[WHOLE:]
    data = _packet(first) + _packet(rest, 2) + _result([(8, "b", 2.0, None)])
    found = [
        row for batch in batches(Pieces(data, [1 << 20]), converters(TYPES), 5) for row in batch
    ]
    assert [row[0] for row in found] == [7, 8]
    assert found[0][1] == large


HOSTILE = [
    "' OR '1'='1",
    "\\' OR 1=1 -- ",
    "'; DROP TABLE raw_data.nws_alerts; -- ",
    '" UNION SELECT 1 -- ',
    "%s %d %(a)s",
    "a\0b\x1a\n\r\\",
    "`",
    "\u02bc OR 1=1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_fault_37_values_stay_within_their_literal(text: str) -> None:
    made = sql_of(Statement("SELECT %s AS a, %s AS b", (text, 1), ("a", "b")))
    body = made.removeprefix("SELECT '").removesuffix("' AS a, 1 AS b")
    # Every quote inside is escaped, and no backslash stands alone before the closing one.
    assert "'" not in body.replace("\\\\", "").replace("\\'", "")
    assert not body.replace("\\\\", "").endswith("\\")
