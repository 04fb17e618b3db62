"""Prepared statements: COM_STMT_PREPARE, EXECUTE, CLOSE, with binary parameters and rows.

Parameters are put into the statement's text as literals by their position among its tokens, never
by searching for question marks. Source: MySQL internals manual, "Prepared Statements".
"""

from __future__ import annotations

import dataclasses
import datetime
import struct
from collections.abc import Callable
from typing import Any

from embedded_starrocks.errors import SqlError, syntax_error
from embedded_starrocks.mysql import handshake
from embedded_starrocks.mysql import resultset as rs
from embedded_starrocks.mysql.packets import PacketStream, PayloadReader, lenenc_bytes
from embedded_starrocks.mysql.resultset import ResultColumn, Row, column_definition, kind_of
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.prepare import MAX_STATEMENTS, filled, placeholders

EncodeRows = Callable[[list[ResultColumn], list[Row]], list[bytes]]
_UNSIGNED = 0x80
_INTEGERS = {rs.TINY: "b", rs.SHORT: "h", 13: "h", rs.LONG: "i", 9: "i", rs.LONGLONG: "q"}
_TIMES = (7, rs.DATE, rs.DATETIME)
_TIME = 11


@dataclasses.dataclass
class Statement:
    """One prepared statement: its text, and where its parameters stand in it."""

    id: int
    sql: str
    positions: list[int]
    types: list[int] = dataclasses.field(default_factory=list)
    long_data: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def prepare_answer(self, stream: PacketStream, columns: list[ResultColumn]) -> bytes:
        """The answer to COM_STMT_PREPARE. Parameters may change columns: results say them again."""
        count = len(self.positions)
        payloads = [
            b"\0"
            + self.id.to_bytes(4, "little")
            + len(columns).to_bytes(2, "little")
            + count.to_bytes(2, "little")
            + b"\0\0\0"
        ]
        for definitions in ([ResultColumn("?")] * count, columns):
            if definitions:
                payloads += [column_definition(each) for each in definitions]
                payloads.append(handshake.eof_packet(handshake.STATUS_AUTOCOMMIT))
        return stream.frame_all(payloads)


class Statements:
    """The prepared statements of one connection."""

    def __init__(self) -> None:
        self._statements: dict[int, Statement] = {}
        self._next = 1

    def add(self, sql: str) -> Statement:
        if len(self._statements) >= MAX_STATEMENTS:
            raise SqlError(1461, "42000", f"more than {MAX_STATEMENTS} prepared statements")
        found = dialect.tokenize(sql)
        if len(dialect.split(found)) != 1:
            raise syntax_error("a prepared statement is one statement")
        statement = Statement(self._next, sql, placeholders(found))
        self._statements[statement.id] = statement
        self._next += 1
        return statement

    def _get(self, body: bytes) -> Statement:
        wanted = int.from_bytes(body[:4], "little")
        statement = self._statements.get(wanted)
        if statement is None:
            raise SqlError(1243, "HY000", f"Unknown prepared statement handler ({wanted})")
        return statement

    def forget(self, statement: Statement) -> None:
        self._statements.pop(statement.id, None)

    def close(self, body: bytes) -> None:
        self._statements.pop(int.from_bytes(body[:4], "little"), None)

    def reset(self, body: bytes) -> None:
        self._get(body).long_data.clear()

    def long_data(self, body: bytes) -> None:
        """COM_STMT_SEND_LONG_DATA has no answer, not even for a statement that is gone."""
        statement = self._statements.get(int.from_bytes(body[:4], "little"))
        if statement is not None:
            index = int.from_bytes(body[4:6], "little")
            statement.long_data[index] = statement.long_data.get(index, b"") + body[6:]

    def bound(self, body: bytes) -> tuple[list[Token], str]:
        """The statement of a COM_STMT_EXECUTE with its parameters filled in."""
        statement = self._get(body)
        reader = PayloadReader(body)
        reader.take(4 + 1 + 4)
        values = _parameters(statement, reader) if statement.positions else []
        statement.long_data.clear()
        sql = filled(statement.sql, statement.positions, values)
        return dialect.split(dialect.tokenize(sql))[0], sql


def _parameters(statement: Statement, reader: PayloadReader) -> list[str]:
    count = len(statement.positions)
    nulls = reader.take((count + 7) // 8)
    if reader.integer(1):
        statement.types = [reader.integer(2) for _ in range(count)]
    if len(statement.types) != count:
        raise SqlError(1210, "HY000", "Incorrect arguments to EXECUTE: no parameter types")
    values = []
    for index, kind in enumerate(statement.types):
        if index in statement.long_data:
            values.append(_quoted(statement.long_data[index]))
        elif nulls[index // 8] >> (index % 8) & 1:
            values.append("NULL")
        else:
            values.append(_parameter(kind & 0xFF, bool(kind >> 8 & _UNSIGNED), reader))
    return values


def _parameter(kind: int, unsigned: bool, reader: PayloadReader) -> str:
    if kind in _INTEGERS:
        layout = _INTEGERS[kind]
        return str(reader.unpack(layout.upper() if unsigned else layout))
    if kind == rs.NULL:
        return "NULL"
    if kind in (rs.FLOAT, rs.DOUBLE):
        value = reader.unpack("f" if kind == rs.FLOAT else "d")
        return f"CAST('{value!r}' AS DOUBLE)"
    if kind in _TIMES:
        return _time_parameter(kind, reader)
    if kind == _TIME:
        return _duration_parameter(reader)
    if kind in (0, rs.NEWDECIMAL):
        text = reader.lenenc_bytes().decode("ascii", "replace")
        if not text.lstrip("+-").replace(".", "", 1).isdigit():
            raise SqlError(1210, "HY000", f"'{text[:40]}' is no decimal number")
        return text
    if kind in (15, 249, 250, 251, rs.BLOB, rs.VAR_STRING, rs.STRING, rs.JSON):
        return _quoted(reader.lenenc_bytes())
    raise SqlError(1210, "HY000", f"parameter type {kind} is not supported")


def _time_parameter(kind: int, reader: PayloadReader) -> str:
    raw = PayloadReader(reader.lenenc_bytes())
    year, month, day = raw.integer(2), raw.integer(1), raw.integer(1)
    date = f"{year:04d}-{month:02d}-{day:02d}"
    if kind == rs.DATE:
        return f"'{date}'"
    if not raw.remaining:
        return f"'{date} 00:00:00'"
    hour, minute, second = raw.integer(1), raw.integer(1), raw.integer(1)
    micro = f".{raw.integer(4):06d}" if raw.remaining else ""
    return f"'{date} {hour:02d}:{minute:02d}:{second:02d}{micro}'"


def _duration_parameter(reader: PayloadReader) -> str:
    """A TIME as text, hours beyond a day included."""
    raw = PayloadReader(reader.lenenc_bytes())
    if not raw.remaining:
        return "'00:00:00'"
    sign = "-" if raw.integer(1) else ""
    hours = raw.integer(4) * 24 + raw.integer(1)
    minute, second = raw.integer(1), raw.integer(1)
    micro = f".{raw.integer(4):06d}" if raw.remaining else ""
    return f"'{sign}{hours:02d}:{minute:02d}:{second:02d}{micro}'"


def _quoted(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SqlError(1210, "HY000", "binary parameters are not supported") from None
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def binary_rows(columns: list[ResultColumn], rows: list[Row]) -> list[bytes]:
    """Rows of the binary protocol."""
    kinds = [kind_of(column.type) for column in columns]
    size = (len(columns) + 9) // 8
    payloads = []
    for row in rows:
        nulls = bytearray(size)
        fields = []
        for index, (value, (code, format_value)) in enumerate(zip(row, kinds, strict=True)):
            if value is None:
                nulls[(index + 2) // 8] |= 1 << (index + 2) % 8
            else:
                fields.append(_binary(value, code, format_value))
        payloads.append(b"\0" + bytes(nulls) + b"".join(fields))
    return payloads


_LAYOUTS = {
    rs.TINY: "<b",
    rs.SHORT: "<h",
    rs.LONG: "<i",
    rs.LONGLONG: "<q",
    rs.FLOAT: "<f",
    rs.DOUBLE: "<d",
}


def _binary(value: Any, code: int, format_value: rs.Format) -> bytes:
    layout = _LAYOUTS.get(code)
    if layout is not None:
        try:
            return struct.pack(layout, value)
        except struct.error as error:
            raise ValueError(f"{value} is out of range") from error
    if code == rs.DATE:
        return b"\x04" + _date(value)
    if code == rs.DATETIME:
        clock: bytes = bytes((value.hour, value.minute, value.second))
        if value.microsecond:
            micro: int = value.microsecond
            return b"\x0b" + _date(value) + clock + micro.to_bytes(4, "little")
        return b"\x07" + _date(value) + clock
    return lenenc_bytes(format_value(value))


def _date(value: datetime.date) -> bytes:
    return value.year.to_bytes(2, "little") + bytes((value.month, value.day))
