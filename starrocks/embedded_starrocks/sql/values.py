"""Values on their way into columns: converted as StarRocks does, or refused; never NULL instead."""

from __future__ import annotations

from embedded_starrocks.sql.macros_values import SCHEMA
from embedded_starrocks.sql.types import INTEGER_BITS, ColumnType
from embedded_starrocks.storage.metadata import Column

_CONVERSIONS = {"BOOLEAN": "to_boolean", "DATE": "to_date", "DATETIME": "to_datetime"}
# Beyond these DuckDB prints and reads what is no date of StarRocks (infinity, BC).
_FIRST_DAY, _LAST_DAY = "DATE '0001-01-01'", "DATE '9999-12-31'"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


def converted(source: str, source_type: str, target: ColumnType) -> str:
    """SQL for the value in the column's type; NULL where it does not fit.

    Numbers lose their fraction on the way into an integer column, as in StarRocks; text that is no
    number, a date that does not exist, or text that is too long does not fit.
    """
    stored = target.duckdb()
    if source_type == "VARCHAR":
        return _from_text(source, target)
    if source_type == stored:
        return source
    if target.name in INTEGER_BITS:
        whole = source if source_type in _INTEGERS else f"{SCHEMA}.whole_part({source})"
        return f"TRY_CAST({whole} AS {stored})"
    if target.is_text:
        text = f"{SCHEMA}.to_text({source})"
        return f"CASE WHEN strlen({text}) <= {target.length} THEN {text} END"
    if target.name == "STRUCT" and source_type.startswith(("STRUCT(", "TUPLE(")):
        return _struct_by_position(source, target)
    named = _CONVERSIONS.get(target.name)
    return f"{SCHEMA}.{named}({source})" if named else f"TRY_CAST({source} AS {stored})"


def _struct_by_position(source: str, target: ColumnType) -> str:
    """A struct with the target's names: StarRocks takes fields by their position."""
    fields = ", ".join(
        f'"{name}" := TRY_CAST(struct_extract_at({source}, {index}) AS {part.duckdb()})'
        for index, (name, part) in enumerate(zip(target.fields, target.parts, strict=True), 1)
    )
    return f"CASE WHEN {source} IS NOT NULL THEN struct_pack({fields}) END"


def _from_text(source: str, target: ColumnType) -> str:
    """Text converted; written out, because planning macros costs more than a small load.

    Text that a value's own printing gives back is that value, which is cheap to find out; only
    other text is looked at closely.
    """
    stored = target.duckdb()
    value = f"TRY_CAST({source} AS {stored})"
    if target.name in INTEGER_BITS:
        whole = rf"regexp_extract({source}, '^\s*([+-]?\d+)(\.\d*)?\s*$', 1)"
        return (
            f"CASE WHEN CAST({value} AS VARCHAR) = {source} THEN {value} "
            f"ELSE TRY_CAST({whole} AS {stored}) END"
        )
    if target.name == "BOOLEAN":
        return (
            f"CASE {source} WHEN 'true' THEN true WHEN 'false' THEN false "
            f"ELSE CASE lower(trim({source})) WHEN 'true' THEN true WHEN 'false' THEN false "
            "WHEN '1' THEN true WHEN '0' THEN false END END"
        )
    if target.name == "DATE":
        return (
            f"CASE WHEN {value} BETWEEN {_FIRST_DAY} AND {_LAST_DAY} "
            f"AND CAST({value} AS VARCHAR) = {source} THEN {value} "
            f"ELSE CAST({SCHEMA}.text_to_datetime({source}) AS DATE) END"
        )
    if target.name == "DATETIME":
        return (
            f"CASE WHEN {value} >= {_FIRST_DAY} AND {value} < {_LAST_DAY} "
            f"AND CAST({value} AS VARCHAR) = replace({source}, 'T', ' ') THEN {value} "
            f"ELSE {SCHEMA}.text_to_datetime({source}) END"
        )
    if target.is_text:
        return f"CASE WHEN strlen({source}) <= {target.length} THEN {source} END"
    return f"TRY_CAST({source} AS {target.duckdb()})"


def always_fits(source_type: str, target: ColumnType) -> bool:
    """Whether every value of the source type fits, so that no check is needed."""
    return source_type == target.duckdb() and not target.is_text


def checked(source: str, source_type: str, column: Column) -> str:
    """SQL for the value in the column's type, with an error where it does not fit."""
    value = converted(source, source_type, column.type)
    if source_type == '"NULL"' or always_fits(source_type, column.type):
        return value
    name = column.name.replace("'", "''")
    problem = f"'a value does not fit column {name} {column.type.shown()}: '"
    return (
        f"CASE WHEN {source} IS NOT NULL AND {value} IS NULL "
        f"THEN error({problem} || left(CAST({source} AS VARCHAR), 60)) ELSE {value} END"
    )


def default_value(column: Column) -> str:
    """SQL for what a column gets when nothing is given."""
    if column.default is None:
        return f"CAST(NULL AS {column.type.duckdb()})"
    if column.default.upper() == "CURRENT_TIMESTAMP":
        return f"{SCHEMA}.now()"
    literal = "'" + column.default.replace("'", "''") + "'"
    return converted(literal, "VARCHAR", column.type)
