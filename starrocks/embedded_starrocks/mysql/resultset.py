"""Result sets: MySQL type codes, and values as text as StarRocks prints them.

Source: MySQL internals manual, "COM_QUERY Response". Text is UTF-8; times carry no zone.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import functools
import json
import math
import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

from embedded_starrocks.mysql.packets import lenenc_bytes, lenenc_int, lenenc_text

TINY, SHORT, LONG, FLOAT, DOUBLE, NULL = 1, 2, 3, 4, 5, 6
LONGLONG, DATE, DATETIME, JSON, NEWDECIMAL, BLOB, VAR_STRING, STRING = (
    8,
    10,
    12,
    245,
    246,
    252,
    253,
    254,
)
UTF8, BINARY_CHARSET = 33, 63
_NOT_NULL, _BINARY = 1, 128

Row = tuple[Any, ...]
Format = Callable[[Any], bytes]


@dataclasses.dataclass(frozen=True)
class ResultColumn:
    """Name and DuckDB type text of one column of a result."""

    name: str
    type: str = "VARCHAR"


@dataclasses.dataclass
class ResultSet:
    """Columns, and rows in chunks that are fetched while they are sent.

    A row is a tuple of values, or of one payload of the text protocol when `is_encoded`.
    """

    columns: list[ResultColumn]
    chunks: Iterable[list[Row]]
    is_encoded: bool = False


@dataclasses.dataclass(frozen=True)
class Done:
    """The answer to a statement without rows."""

    affected: int = 0
    info: str = ""


def table_of(names: list[str], rows: list[Row]) -> ResultSet:
    """A result of text columns, as SHOW statements give."""
    return ResultSet([ResultColumn(name) for name in names], [rows])


def format_double(value: float) -> str:
    """As StarRocks prints a DOUBLE: the shortest form that reads back, without a trailing .0."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def format_float(value: float) -> str:
    """As StarRocks prints a FLOAT: the shortest form that reads back in single precision."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.unpack("<f", struct.pack("<f", float(text)))[0] == value:
            return format_double(float(text))
    return format_double(value)


def format_datetime(value: datetime.datetime) -> str:
    """With six digits of a fraction, or none when it is zero."""
    try:
        return value.isoformat(" ")
    except AttributeError:
        return _in_year_zero(str(value))


_YEAR_ZERO = re.compile(r"0001(-\d\d-\d\d) \(BC\)((?: [\d:.]+)?)")


def _in_year_zero(text: str) -> str:
    """DuckDB gives dates that Python has not as text; of those only year 0 is StarRocks', too."""
    found = _YEAR_ZERO.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is out of range")
    return "0000" + found[1] + found[2]


def format_nested(value: Any) -> str:
    """ARRAY, MAP and STRUCT as StarRocks prints them: JSON-like, without spaces."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(format_nested(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{_map_key(key)}:{format_nested(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    known = _NESTED.get(type(value))
    return known(value) if known is not None else str(value)


_JSON_TOKENS = re.compile(r'("(?:[^"\\]|\\.)*")|([:,])\s*|\s+')


def format_json(value: str) -> str:
    """JSON as StarRocks prints it, with a blank behind colons and commas."""
    return _JSON_TOKENS.sub(lambda found: found[1] or (f"{found[2]} " if found[2] else ""), value)


_NESTED: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    bool: lambda value: "1" if value else "0",
    float: format_double,
    datetime.datetime: lambda value: f'"{format_datetime(value)}"',
    datetime.date: lambda value: f'"{value}"',
    bytes: lambda value: f'"{value.hex().upper()}"',
    str: lambda value: json.dumps(value, ensure_ascii=False),
}


def _map_key(key: Any) -> str:
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else format_nested(key)


def _text(value: Any) -> bytes:
    return str(value).encode("utf-8")


# Bound methods of C functions: a call of them costs half of a Python function.
_whole = b"%d".__mod__


def _date(value: datetime.date) -> bytes:
    try:
        return value.isoformat().encode()
    except AttributeError:
        return _in_year_zero(str(value)).encode()


def _boolean(value: Any) -> bytes:
    return b"1" if value else b"0"


def _decimal(value: decimal.Decimal) -> bytes:
    return f"{value:f}".encode()


_FORMATS: dict[str, tuple[int, Format]] = {
    "BOOLEAN": (TINY, _boolean),
    "TINYINT": (TINY, _whole),
    "UTINYINT": (SHORT, _whole),
    "SMALLINT": (SHORT, _whole),
    "USMALLINT": (LONG, _whole),
    "INTEGER": (LONG, _whole),
    "UINTEGER": (LONGLONG, _whole),
    "BIGINT": (LONGLONG, _whole),
    "HUGEINT": (STRING, _whole),
    "UBIGINT": (STRING, _whole),
    "FLOAT": (FLOAT, lambda value: format_float(value).encode()),
    "DOUBLE": (DOUBLE, lambda value: format_double(value).encode()),
    "DATE": (DATE, _date),
    "TIMESTAMP": (DATETIME, lambda value: format_datetime(value).encode()),
    "VARCHAR": (VAR_STRING, str.encode),
    "JSON": (JSON, lambda value: format_json(value).encode("utf-8")),
    "BLOB": (BLOB, bytes),
    '"NULL"': (NULL, _text),
}
_LENGTHS = {TINY: 4, SHORT: 6, LONG: 11, LONGLONG: 20, FLOAT: 12, DOUBLE: 22, DATE: 10}


def kind_of(duckdb_type: str) -> tuple[int, Format]:
    """The MySQL type code and the text format of a DuckDB type."""
    known = _FORMATS.get(duckdb_type)
    if known is not None:
        return known
    if duckdb_type.startswith("DECIMAL") and duckdb_type.endswith(")"):
        return NEWDECIMAL, _decimal
    if duckdb_type.startswith("TIMESTAMP"):
        return _FORMATS["TIMESTAMP"]
    if duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP")):
        return STRING, lambda value: format_nested(value).encode("utf-8")
    return VAR_STRING, _text


@functools.lru_cache(maxsize=4096)
def column_definition(column: ResultColumn) -> bytes:
    """ColumnDefinition41 of one column."""
    code, _ = kind_of(column.type)
    is_text = code in (VAR_STRING, STRING, JSON)
    decimals = 31 if code in (FLOAT, DOUBLE) else 0
    length = _LENGTHS.get(code, 65533 * 3 if is_text else 40)
    if code == NEWDECIMAL:
        precision, scale = column.type[8:-1].split(",")
        decimals, length = int(scale), int(precision) + 2
    if code == DATETIME:
        decimals, length = 6, 26
    name = lenenc_text(column.name)
    return (
        lenenc_text("def")
        + lenenc_bytes(b"")
        + lenenc_bytes(b"")
        + lenenc_bytes(b"")
        + name
        + name
        + b"\x0c"
        + (UTF8 if is_text else BINARY_CHARSET).to_bytes(2, "little")
        + length.to_bytes(4, "little")
        + bytes((code,))
        + (0 if is_text else _BINARY).to_bytes(2, "little")
        + bytes((decimals,))
        + b"\0\0"
    )


_SHORT_LENGTH = [bytes((size,)) for size in range(251)]


def text_rows(columns: list[ResultColumn], rows: list[Row]) -> list[bytes]:
    """Rows of the text protocol, one payload a row; NULL is 0xFB."""
    if not rows:
        return []
    formats = [kind_of(column.type)[1] for column in columns]
    encoded = [
        _text_column(list(values), format_value)
        for values, format_value in zip(zip(*rows, strict=True), formats, strict=True)
    ]
    return [b"".join(fields) for fields in zip(*encoded, strict=True)]


def payloads(_: list[ResultColumn], rows: list[Row]) -> list[bytes]:
    """Rows that are payloads already."""
    return [payload for (payload,) in rows]


def _text_column(values: list[Any], format_value: Format) -> list[bytes]:
    short = _SHORT_LENGTH
    return [
        b"\xfb"
        if value is None
        else (short[size] if (size := len(text := format_value(value))) < 251 else lenenc_int(size))
        + text
        for value in values
    ]
