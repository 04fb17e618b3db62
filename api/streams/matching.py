"""Whether a record as it travels meets the conditions that items are asked by."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from api.catalog.model import Collection
from api.query.model import Box, Filter

Values = dict[str, Any]
Condition = Callable[[Values], bool]
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matcher(collection: Collection, filters: Sequence[Filter], bbox: Box | None) -> Condition:
    """Return what tells whether a record's values meet every filter and the box.

    As in SQL, a missing value meets nothing but ``is null``.
    """
    conditions = [_condition(collection, one) for one in filters]
    if bbox is not None:
        conditions.append(_within(collection, bbox))
    return lambda values: all(condition(values) for condition in conditions)


def _condition(collection: Collection, one: Filter) -> Condition:
    name, kind = one.name, collection.by_name[one.name].type
    if one.operator == "is null":
        return lambda values: values.get(name) is None
    if one.operator == "is not null":
        return lambda values: values.get(name) is not None
    wanted = [_comparable(value, kind) for value in one.values]
    if one.operator == "in":
        return lambda values: _comparable(values.get(name), kind) in wanted
    if one.operator == "like":
        pattern = str(wanted[0])
        return lambda values: is_like(values.get(name), pattern)
    compare, right = _COMPARISONS[one.operator], wanted[0]

    def holds(values: Values) -> bool:
        left = values.get(name)
        return left is not None and compare(_comparable(left, kind), right)

    return holds


def _comparable(value: Any, kind: str) -> Any:
    """Return a value of a request or of a record in one form; instants without a zone are UTC."""
    if value is None:
        return None
    if kind == "date-time":
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    if kind == "date":
        return value.isoformat() if isinstance(value, date) else str(value)
    return value


def is_like(text: str | None, pattern: str) -> bool:
    """Return SQL's LIKE (``%`` any text, ``_`` one character) in time text x pattern at most."""
    if text is None:
        return False
    at = place = 0
    percent, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            percent, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("_", text[at]):
            at, place = at + 1, place + 1
        elif percent >= 0:
            # Let the last % take one character more.
            resume += 1
            at, place = resume, percent + 1
        else:
            return False
    return not pattern[place:].strip("%")


def _within(collection: Collection, box: Box) -> Condition:
    geometry = collection.geometry
    if geometry is None:
        return lambda _values: False
    if geometry.bbox is not None:
        names = geometry.bbox
    elif geometry.point is not None:
        names = (*geometry.point, *geometry.point)
    else:
        return lambda _values: False

    def meets(values: Values) -> bool:
        west, south, east, north = (values.get(name) for name in names)
        if west is None or south is None or east is None or north is None:
            return False
        if not (north >= box.south and south <= box.north):
            return False
        if box.west <= box.east:
            return bool(east >= box.west and west <= box.east)
        return bool(east >= box.west or west <= box.east)

    return meets
