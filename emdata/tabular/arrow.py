"""Rows as Arrow arrays, with units and descriptions in the schema.

Instants are timestamps in microseconds of UTC; StarRocks' BOOLEAN comes as 0 and 1; DECIMAL
becomes a double, of which 15 digits are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
from polars.exceptions import PolarsError

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


def series_of(column: Column, values: Sequence[Any]) -> pl.Series:
    """Return values of a column as a series of its type.

    Texts among instants and days (the year 0, which Python does not have) become null.
    """
    made: Sequence[Any] = values
    if column.kind == "boolean":
        made = [None if value is None else bool(value) for value in values]
    try:
        return pl.Series(column.name, made, _SERIES[column.kind])
    except (TypeError, ValueError, PolarsError):
        made = [_CONVERT[column.kind](value) for value in made]
        return pl.Series(column.name, made, _SERIES[column.kind])


def array_of(column: Column, values: Sequence[Any]) -> pa.Array:
    """Return values of a column as an array.

    It is made by polars: the first Python list given to pyarrow imports pandas, for seconds.
    """
    return series_of(column, values).to_arrow().cast(TYPES[column.kind])


def _field(column: Column) -> pa.Field:
    about = {"description": column.description}
    if column.unit is not None:
        about["unit"] = column.unit
    if column.kind == "json":
        about["format"] = "json"
    return pa.field(column.name, TYPES[column.kind], column.is_nullable, about)


def _unless(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else None


def _through(kind: type) -> Callable[[Any], Any]:
    return lambda value: None if value is None else kind(value)


_SERIES: dict[Kind, Any] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "date-time": pl.Datetime("us", "UTC"),
    "json": pl.String,
}
_CONVERT: dict[Kind, Callable[[Any], Any]] = {
    "string": _through(str),
    "integer": _through(int),
    "number": _through(float),
    "boolean": _through(bool),
    "date": _unless(date),
    "date-time": _unless(datetime),
    "json": _through(str),
}
