"""Rows as Arrow arrays, with units and descriptions in the schema.

Instants are timestamps in microseconds of UTC; StarRocks' BOOLEAN comes as 0 and 1; DECIMAL
becomes a double, of which 15 digits are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from emdata.tabular.model import Column, Kind, Table

TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "date-time": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the schema; a field's metadata has ``description`` and ``unit``."""
    return pa.schema([_field(column) for column in table.columns], metadata=dict(table.about))


def array_of(kind: Kind, values: Sequence[Any]) -> pa.Array:
    """Return values of a column as an array."""
    convert = _CONVERT.get(kind)
    return pa.array(values if convert is None else convert(values), TYPES[kind])


def _field(column: Column) -> pa.Field:
    about = {"description": column.description}
    if column.unit is not None:
        about["unit"] = column.unit
    if column.kind == "json":
        about["format"] = "json"
    return pa.field(column.name, TYPES[column.kind], column.is_nullable, about)


def _booleans(values: Sequence[Any]) -> list[bool | None]:
    return [None if value is None else bool(value) for value in values]


def _numbers(values: Sequence[Any]) -> Sequence[Any]:
    if all(type(value) is float or value is None for value in values):
        return values
    return [None if value is None else float(value) for value in values]


_CONVERT: dict[Kind, Callable[[Sequence[Any]], Sequence[Any]]] = {
    "boolean": _booleans,
    "number": _numbers,
}
