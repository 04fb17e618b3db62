"""Conditions -> SQL with bound values: names come from the catalog, values never are SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from api.catalog.model import Collection, Span
from api.query.model import AllOf, AnyOf, Between, Box, Expression, Filter, Not, Order
from emdata.derive.starrocks import quote

Condition = tuple[str, tuple[Any, ...]]


def condition(collection: Collection, one: Expression) -> Condition:
    """Return a condition as SQL."""
    if isinstance(one, Filter):
        return _filter(one)
    if isinstance(one, Box):
        return within(collection, one)
    if isinstance(one, Not):
        text, values = condition(collection, one.part)
        return f"NOT ({text})", values
    return _joined(" AND " if isinstance(one, AllOf) else " OR ", collection, one)


def _joined(word: str, collection: Collection, one: AllOf | AnyOf) -> Condition:
    parts = [condition(collection, part) for part in one.parts]
    text = word.join(f"({part})" for part, _ in parts)
    return text, tuple(value for _, values in parts for value in values)


def _filter(one: Filter) -> Condition:
    name, values = quote(one.name), tuple(map(bound, one.values))
    if one.operator in ("is null", "is not null"):
        return f"{name} {one.operator.upper()}", ()
    if one.operator == "in":
        return f"{name} IN ({', '.join(['%s'] * len(values))})", values
    return f"{name} {one.operator.upper()} %s", values


def names_of(collection: Collection, one: Expression) -> frozenset[str]:
    """Return the columns that a condition reads."""
    if isinstance(one, Filter):
        return frozenset({one.name})
    if isinstance(one, Box):
        geometry = collection.geometry
        columns = () if geometry is None else geometry.bbox or geometry.point or ()
        return frozenset(columns)
    if isinstance(one, Not):
        return names_of(collection, one.part)
    return frozenset().union(*(names_of(collection, part) for part in one.parts))


def holds_at(span: Span, instant: datetime) -> Condition:
    """The row held at an instant."""
    start, at = quote(span.start), bound(instant)
    if span.end is None:
        return f"{start} <= %s", (at,)
    end = quote(span.end)
    return f"{start} <= %s AND ({end} IS NULL OR {end} > %s)", (at, at)


def overlaps(collection: Collection, span: Span, between: Between) -> Condition:
    """Of a span: it shares a moment with the interval. Of an instant or a day: it lies within."""
    parts: list[str] = []
    values: list[Any] = []
    last = span.end or span.start
    if between.start is not None:
        is_open = f" OR {quote(last)} IS NULL" if span.end else ""
        # A span ends before its end, a day lasts until its own.
        comparison = ">" if span.end and not _is_day(collection, last) else ">="
        parts.append(f"({quote(last)} {comparison} %s{is_open})")
        values.append(_as_column(collection, last, between.start))
    if between.end is not None:
        parts.append(f"{quote(span.start)} <= %s")
        values.append(_as_column(collection, span.start, between.end))
    return " AND ".join(parts) or f"{quote(span.start)} IS NOT NULL", tuple(values)


def within(collection: Collection, box: Box) -> Condition:
    """The geometry's box meets the asked one; without a box, the point lies in it."""
    geometry = collection.geometry
    if geometry is None:
        return "FALSE", ()
    if geometry.bbox is not None:
        west, south, east, north = map(quote, geometry.bbox)
    elif geometry.point is not None:
        west = east = quote(geometry.point[0])
        south = north = quote(geometry.point[1])
    else:
        return "FALSE", ()
    upright = f"{north} >= %s AND {south} <= %s"
    if box.west <= box.east:
        sideways, values = f"{east} >= %s AND {west} <= %s", (box.west, box.east)
    else:
        sideways, values = f"({east} >= %s OR {west} <= %s)", (box.west, box.east)
    return f"{sideways} AND {upright}", (*values, box.south, box.north)


def after(order: Sequence[Order], last: Sequence[Any]) -> Condition:
    """Keyset paging: rows beyond the last one; NULL is lowest, as StarRocks orders it."""
    alternatives: list[str] = []
    values: list[Any] = []
    for count, part in enumerate(order):
        terms: list[str] = []
        for earlier, value in zip(order[:count], last, strict=False):
            text, given = _same(earlier.name, value)
            terms.append(text)
            values += given
        text, given = _beyond(part, last[count])
        values += given
        alternatives.append(" AND ".join([*terms, text]))
    return "(" + " OR ".join(f"({one})" for one in alternatives) + ")", tuple(values)


def where(conditions: Sequence[Condition]) -> Condition:
    """Return the WHERE clause of conditions that all hold; empty without any."""
    if not conditions:
        return "", ()
    text = " AND ".join(f"({one})" for one, _ in conditions)
    return f" WHERE {text}", tuple(value for _, values in conditions for value in values)


def bound(value: Any) -> Any:
    """Return a value as it is bound: StarRocks' DATETIME is UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _same(name: str, value: Any) -> tuple[str, list[Any]]:
    if value is None:
        return f"{quote(name)} IS NULL", []
    return f"{quote(name)} = %s", [bound(value)]


def _beyond(part: Order, value: Any) -> tuple[str, list[Any]]:
    name = quote(part.name)
    if part.is_descending:
        if value is None:
            return "FALSE", []
        return f"({name} < %s OR {name} IS NULL)", [bound(value)]
    if value is None:
        return f"{name} IS NOT NULL", []
    return f"{name} > %s", [bound(value)]


def _is_day(collection: Collection, name: str) -> bool:
    one = collection.by_name.get(name)
    return one is not None and one.type == "date"


def _as_column(collection: Collection, name: str, instant: datetime) -> datetime | date:
    """A day is met by every moment of it."""
    return instant.astimezone(UTC).date() if _is_day(collection, name) else bound(instant)
