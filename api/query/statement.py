"""ItemsQuery -> Statement: every name comes from the catalog, every value is bound.

The rule against SQL made of text is off here, and here only: this module is where it is made.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from api.catalog.model import Collection, Span
from api.query.model import Between, Box, Filter, ItemsQuery, Order, Statement
from emdata.derive.starrocks import quote

Condition = tuple[str, tuple[Any, ...]]


def items_statement(query: ItemsQuery, scope: Sequence[Filter] = ()) -> Statement:
    """Return the SELECT of a page of items; ``scope`` limits the rows to what a caller may see.

    The rows are one more than the limit, so that it is known whether there is a next page.
    """
    columns = _columns(query)
    conditions = _conditions(query, scope)
    if query.after is not None:
        conditions.append(_after(query.order, query.after))
    where, values = _where(conditions)
    table, table_values = _rows(query)
    order = ", ".join(
        f"{quote(part.name)}{' DESC' if part.is_descending else ''}" for part in query.order
    )
    sql = f"SELECT {', '.join(map(quote, columns))} FROM {table}{where}"
    if order:
        sql += f" ORDER BY {order}"
    if query.limit is not None:
        sql += f" LIMIT {int(query.limit) + 1}"
    return Statement(sql, (*table_values, *values), columns)


def count_statement(query: ItemsQuery, scope: Sequence[Filter] = ()) -> Statement:
    """Return the SELECT of how many items match, on all pages."""
    where, values = _where(_conditions(query, scope))
    table, table_values = _rows(query)
    return Statement(f"SELECT COUNT(*) FROM {table}{where}", (*table_values, *values), ("count",))


def _columns(query: ItemsQuery) -> tuple[str, ...]:
    """All that the answer shows, and what it is made from: the key, the geometry, the order."""
    if query.properties is None:
        return tuple(one.name for one in query.collection.properties)
    geometry = query.collection.geometry
    needed = {*query.properties, *query.collection.key, *(part.name for part in query.order)}
    if query.collection.is_dataset:
        needed.add("record_key")
    if geometry is not None:
        needed.update(name for name in (geometry.geojson, *(geometry.point or ())) if name)
    return tuple(one.name for one in query.collection.properties if one.name in needed)


def _rows(query: ItemsQuery) -> tuple[str, tuple[Any, ...]]:
    """Return what to select from: of a dataset, the highest version of each key."""
    collection = query.collection
    table = ".".join(quote(part) for part in collection.table.split("."))
    if not collection.is_dataset:
        return f"{table} AS `items`", ()
    # What names the entity holds for all its versions; everything else only for the current one.
    inner: list[Condition] = [
        _condition(one) for one in query.filters if one.name in collection.key
    ]
    if query.as_of is not None:
        inner.append(("`accepted_at` <= %s", (_naive(query.as_of),)))
    where, values = _where(inner)
    rank = (
        "ROW_NUMBER() OVER (PARTITION BY `record_key`"
        " ORDER BY `record_version` DESC, `seq` DESC, `writer` DESC) AS `version_rank`"
    )
    return f"(SELECT *, {rank} FROM {table}{where}) AS `items`", values


def _conditions(query: ItemsQuery, scope: Iterable[Filter]) -> list[Condition]:
    collection = query.collection
    conditions: list[Condition] = [_condition(one) for one in (*scope, *query.filters)]
    if collection.is_dataset:
        conditions.append(("`version_rank` = 1", ()))
    elif query.as_of is not None and collection.as_of is not None:
        conditions.append(_holds_at(collection.as_of, query.as_of))
    if query.between is not None and collection.time is not None:
        conditions.append(_overlaps(collection.time, query.between))
    if query.bbox is not None:
        conditions.append(_within(collection, query.bbox))
    return conditions


def _condition(one: Filter) -> Condition:
    name = quote(one.name)
    if one.operator in ("is null", "is not null"):
        return f"{name} {one.operator.upper()}", ()
    if one.operator == "in":
        return f"{name} IN ({', '.join(['%s'] * len(one.values))})", one.values
    return f"{name} {one.operator.upper()} %s", one.values


def _holds_at(span: Span, instant: datetime) -> Condition:
    start, at = quote(span.start), _naive(instant)
    if span.end is None:
        return f"{start} <= %s", (at,)
    end = quote(span.end)
    return f"{start} <= %s AND ({end} IS NULL OR {end} > %s)", (at, at)


def _overlaps(span: Span, between: Between) -> Condition:
    """Of a span: it shares a moment with the interval. Of an instant: it lies within."""
    parts, values = [], []
    last = quote(span.end or span.start)
    if between.start is not None:
        is_open = f" OR {last} IS NULL" if span.end else ""
        comparison = ">" if span.end else ">="
        parts.append(f"({last} {comparison} %s{is_open})")
        values.append(_naive(between.start))
    if between.end is not None:
        parts.append(f"{quote(span.start)} <= %s")
        values.append(_naive(between.end))
    return " AND ".join(parts) or "TRUE", tuple(values)


def _within(collection: Collection, box: Box) -> Condition:
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
    if box.west <= box.east:
        sideways, values = f"{east} >= %s AND {west} <= %s", (box.west, box.east)
    else:
        sideways, values = f"({east} >= %s OR {west} <= %s)", (box.west, box.east)
    return f"{sideways} AND {north} >= %s AND {south} <= %s", (*values, box.south, box.north)


def _after(order: Sequence[Order], last: Sequence[Any]) -> Condition:
    """Keyset paging: rows beyond the last one; NULL is lowest, as StarRocks orders it."""
    alternatives: list[str] = []
    values: list[Any] = []
    for count, part in enumerate(order):
        terms: list[str] = []
        for earlier, value in zip(order[:count], last, strict=False):
            text, bound = _same(earlier.name, value)
            terms.append(text)
            values += bound
        text, bound = _beyond(part, last[count])
        values += bound
        alternatives.append(" AND ".join([*terms, text]))
    return "(" + " OR ".join(f"({one})" for one in alternatives) + ")", tuple(values)


def _same(name: str, value: Any) -> tuple[str, list[Any]]:
    return (f"{quote(name)} IS NULL", []) if value is None else (f"{quote(name)} = %s", [value])


def _beyond(part: Order, value: Any) -> tuple[str, list[Any]]:
    name = quote(part.name)
    if part.is_descending:
        if value is None:
            return "FALSE", []
        return f"({name} < %s OR {name} IS NULL)", [value]
    if value is None:
        return f"{name} IS NOT NULL", []
    return f"{name} > %s", [value]


def _where(conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return "", ()
    text = " AND ".join(f"({one})" for one, _ in conditions)
    return f" WHERE {text}", tuple(value for _, values in conditions for value in values)


def _naive(instant: datetime) -> datetime:
    """StarRocks' DATETIME is UTC without a zone."""
    return instant.astimezone(UTC).replace(tzinfo=None)
