"""Rows of the text protocol made by DuckDB: for large results five times as fast as in Python.

The bytes are those of `resultset.text_rows`; a test compares the two.
"""

from __future__ import annotations

from embedded_starrocks.mysql.resultset import ResultColumn

_INTEGERS = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
)
_PADDED = "%Y-%m-%d %H:%M:%S.%f"
_SHORT = 128


def _text(name: str, kind: str) -> str | None:
    """SQL of a column's text; None for a type that only Python formats."""
    if kind == "VARCHAR":
        return name
    if kind in _INTEGERS or kind.startswith("DECIMAL("):
        return f"CAST({name} AS VARCHAR)"
    if kind == "DATE":
        return _in_range(name, f"CAST({name} AS VARCHAR)")
    if kind == "BOOLEAN":
        return f"CASE {name} WHEN true THEN '1' WHEN false THEN '0' END"
    if kind == "DOUBLE":
        text = f"CAST({name} AS VARCHAR)"
        whole = f"regexp_replace({text}, '\\.0$', '')"
        return f"CASE WHEN {name} = trunc({name}) THEN {whole} ELSE {text} END"
    if kind == "TIMESTAMP":
        return _in_range(
            name,
            f"CASE WHEN epoch_us({name}) % 1000000 = 0 THEN CAST({name} AS VARCHAR) "
            f"ELSE strftime({name}, '{_PADDED}') END",
        )
    return None


def _in_range(name: str, text: str) -> str:
    """Text of a moment; year 0 as StarRocks writes it, an error for what it has not."""
    odd = f"CAST({name} AS VARCHAR)"
    zero = f"'0000' || replace(substr({odd}, 5), ' (BC)', '')"
    problem = f"error('a value of the result cannot be sent: ' || {odd} || ' is out of range')"
    return (
        f"CASE WHEN {name} >= DATE '0001-01-01' AND {name} < DATE '10000-01-01' THEN {text} "
        f"WHEN {odd} LIKE '0001-%(BC)%' THEN {zero} WHEN {name} IS NOT NULL THEN {problem} END"
    )


def _field(text: str, kind: str) -> str:
    """SQL of a field: its length in front, or 0xFB for NULL."""
    size = f"strlen({text})"
    short = f"encode(chr(CAST({size} AS INTEGER)) || {text})"
    if kind != "VARCHAR":
        return f"coalesce({short}, '\\xFB'::BLOB)"
    two = f"printf('fc%02x%02x', {size} % 256, {size} // 256)"
    eight = "fe" + "%02x" * 8
    bytes_ = ", ".join(f"({size} // {256**place}) % 256" for place in range(8))
    return (
        f"CASE WHEN {text} IS NULL THEN '\\xFB'::BLOB WHEN {size} < {_SHORT} THEN {short} "
        f"WHEN {size} < 251 THEN unhex(printf('%02x', {size})) || encode({text}) "
        f"WHEN {size} < 65536 THEN unhex({two}) || encode({text}) "
        f"ELSE unhex(printf('{eight}', {bytes_})) || encode({text}) END"
    )


def _short_row(columns: list[ResultColumn]) -> tuple[str, str]:
    """SQL of a row without NULL and long texts, made in one piece; and of whether it is one."""
    fields = []
    conditions = []
    for index, column in enumerate(columns):
        text = f"t{index}"
        fields.append(f"chr(CAST(strlen({text}) AS INTEGER)), {text}")
        is_text = column.type == "VARCHAR"
        conditions.append(f"strlen({text}) < {_SHORT}" if is_text else f"{text} IS NOT NULL")
    return f"encode(concat({', '.join(fields)}))", " AND ".join(conditions)


def encoding_sql(sql: str, columns: list[ResultColumn]) -> str | None:
    """A query of one BLOB a row: its payload. None when a column's type needs Python."""
    texts = []
    for index, column in enumerate(columns):
        text = _text(f"c{index}", column.type)
        if text is None:
            return None
        texts.append(f"{text} AS t{index}")
    names = ", ".join(f"c{index}" for index in range(len(columns)))
    fields = " || ".join(_field(f"t{index}", column.type) for index, column in enumerate(columns))
    short, is_short = _short_row(columns)
    payload = f"CASE WHEN {is_short} THEN {short} ELSE {fields} END"
    return f"SELECT {payload} FROM (SELECT {', '.join(texts)} FROM ({sql}) AS q({names}))"
