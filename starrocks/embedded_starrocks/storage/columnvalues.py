"""A column of a load: its value from what the body gives, and why a row may be bad."""

from __future__ import annotations

from embedded_starrocks.sql.values import always_fits, converted, default_value
from embedded_starrocks.storage.metadata import Column, quoted
from embedded_starrocks.storage.readers import LoadOptions, is_nested, missing_value, text_literal

# SQL of "the row is bad", and SQL of the reason.
Problem = tuple[str, str]


def value_of(column: Column) -> str:
    """The name under which a column's converted value is computed."""
    return quoted(f"__v_{column.name}")


def column_value(column: Column, given: bool, options: LoadOptions) -> tuple[str, list[Problem]]:
    """SQL of the value; and conditions under which a row is bad, each with SQL of the reason."""
    if not given:
        value = missing_value(column)
        needed = not column.nullable and column.default is None and not column.auto_increment
        if needed and not options.partial_update:
            return value, [("true", f"'no value for column {_shown(column)}'")]
        return value, []
    source_type = "JSON" if is_nested(column) else "VARCHAR"
    return converted_value(column, f"s.{quoted(column.name)}", source_type, options)


def _shown(column: Column) -> str:
    return column.name.replace("'", "''")


def converted_value(
    column: Column, source: str, source_type: str, options: LoadOptions
) -> tuple[str, list[Problem]]:
    """The same from SQL of a source and its type."""
    value = converted(source, source_type, column.type)
    outside = source.removeprefix("s.")
    output = value_of(column)
    problems: list[Problem] = []
    may_be_null = not options.strict and column.nullable and not column.type.is_text
    if source_type != '"NULL"' and not always_fits(source_type, column.type) and not may_be_null:
        shown = f"'column {_shown(column)} {column.type.shown()} does not take '"
        reason = f"{shown} || left(CAST({outside} AS VARCHAR), 60)"
        problems.append((f"{output} IS NULL AND {outside} IS NOT NULL", reason))
    if not column.nullable and not column.auto_increment:
        if column.default is not None:
            filled = f"CASE WHEN {source} IS NULL THEN {default_value(column)} ELSE {value} END"
            return filled, problems
        reason = text_literal(f"NULL in column {column.name}, which is NOT NULL")
        problems.append((f"{outside} IS NULL", reason))
    return value, problems
