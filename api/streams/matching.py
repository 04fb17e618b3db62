"""Whether a record as it travels meets the conditions that items are asked by.

As in SQL, a comparison with a missing value is neither true nor false (None here), and only what is
true is sent.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from api.catalog.model import Collection
from api.query.model import AnyOf, Box, Expression, Filter, Not

Values = dict[str, Any]
Truth = bool | None
Condition = Callable[[Values], Truth]
EDGES = 4
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matcher(collection: Collection, conditions: Sequence[Expression]) -> Callable[[Values], bool]:
    """Return what tells whether a record's values meet every condition."""
    parts = [_condition(collection, one) for one in conditions]
    return lambda values: all(part(values) is True for part in parts)


def _condition(collection: Collection, one: Expression) -> Condition:
    if isinstance(one, Filter):
        return _filter(collection, one)
    if isinstance(one, Box):
        return _within(collection, one)
    if isinstance(one, Not):
        return _not(_condition(collection, one.part))
    parts = [_condition(collection, part) for part in one.parts]
    return _joined(parts, decisive=isinstance(one, AnyOf))


def _not(part: Condition) -> Condition:
    def holds(values: Values) -> Truth:
        truth = part(values)
        return None if truth is None else not truth

    return holds


def _joined(parts: Sequence[Condition], *, decisive: bool) -> Condition:
    """AND is decided by one that is false, OR by one that is true; else None spreads."""

    def holds(values: Values) -> Truth:
        is_unknown = False
        for part in parts:
            truth = part(values)
            if truth is decisive:
                return decisive
            is_unknown = is_unknown or truth is None
        return None if is_unknown else not decisive

    return holds


def _filter(collection: Collection, one: Filter) -> Condition:
    name, known = one.name, collection.by_name.get(one.name)
    kind = "string" if known is None else known.type  # a tenant's column need not be shown
    if one.operator == "is null":
        return lambda values: values.get(name) is None
    if one.operator == "is not null":
        return lambda values: values.get(name) is not None
    wanted = [_comparable(value, kind) for value in one.values]
    compare: Callable[[Any], bool]
    if one.operator == "in":
        compare = wanted.__contains__
    elif one.operator == "like":
        compare = lambda left: is_like(str(left), str(wanted[0]))  # noqa: E731
    else:
        compares = _COMPARISONS[one.operator]
        compare = lambda left: compares(left, wanted[0])  # noqa: E731

    def holds(values: Values) -> Truth:
        left = values.get(name)
        return None if left is None else compare(_comparable(left, kind))

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


def is_like(text: str, pattern: str) -> bool:
    """Return SQL's LIKE (``%`` any text, ``_`` one character) in time text x pattern at most."""
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
    names: tuple[str, ...] = ()
    if geometry is not None and geometry.bbox is not None:
        names = geometry.bbox
    elif geometry is not None and geometry.point is not None:
        names = (*geometry.point, *geometry.point)

    def meets(values: Values) -> Truth:
        edges = [values.get(name) for name in names]
        known = [edge for edge in edges if edge is not None]
        if len(known) < EDGES:
            return None if edges else False
        west, south, east, north = known
        if not (north >= box.south and south <= box.north):
            return False
        if box.west <= box.east:
            return bool(east >= box.west and west <= box.east)
        return bool(east >= box.west or west <= box.east)

    return meets
