"""ItemsQuery -> Statement: every name comes from the catalog, every value is bound.

The rule against SQL made of text is off here, and here only: this module is where it is made.

The current row of a dataset's key is the highest of all its versions. Ranking all versions of a
large table for one page is what must not happen, so that the window sees as few keys as possible:

- Key fields hold for all versions of a key: conditions on them go inside, before the window.
- Every other condition is asked twice: inside of any version, which leaves the keys that may have
  an answer, and outside of the current one.
- A page in the order of key fields without other conditions first takes its keys, then ranks only
  their versions.
- Such a page, with other conditions or without, is first made of the keys of the first versions in
  its order, some for each place (``quick_statement``). When that fills it, or there are no more, it
  is the page; else few match or keys have many versions, and all are looked at.

What stays slow is a page of a large table in an order that is not the key's, when the conditions
leave most of the rows: all their versions are ranked. In the embedded StarRocks that is seven times
the cost of a page by key at 1,000,000 versions (``tests/api/query/test_large.py``), so that the
caller's time cap ends it on a busy machine. From about there a current table, or a mart, is the
place for such questions.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from api.catalog.model import Collection
from api.query.conditions import (
    Condition,
    after,
    bound,
    condition,
    holds_at,
    names_of,
    overlaps,
    where,
)
from api.query.model import Expression, Filter, ItemsQuery, Order, Statement
from emdata.derive.starrocks import quote

RECORD_KEY = "record_key"
QUICK_FACTOR = 8
"""How many versions a quick page looks at for each of its places."""
RANK = (
    "ROW_NUMBER() OVER (PARTITION BY `record_key`"
    " ORDER BY `record_version` DESC, `seq` DESC, `writer` DESC) AS `version_rank`"
)
CURRENT: Condition = ("`version_rank` = 1", ())


def items_statement(query: ItemsQuery, scope: Sequence[Filter] = ()) -> Statement:
    """Return the SELECT of a page of items; ``scope`` limits the rows to what a caller may see.

    The rows are one more than the limit, so that it is known whether there is a next page.
    """
    return _selected(query, _rows(query, scope))


def quick_statement(query: ItemsQuery, scope: Sequence[Filter] = ()) -> Statement | None:
    """Return a cheaper SELECT of a page by key, None where there is none.

    Its rows have one value more than columns: how many versions it looked at. ``quick_page`` tells
    whether they are the page.
    """
    conditions = _conditions(query, scope, has_cursor=True)
    if not _has_window(query) or not _is_by_key(query) or query.limit is None:
        return None
    table, columns = _table(query.collection), columns_of(query)
    looked_at, page_values = where([*conditions.of_keys, *conditions.of_current])
    page = f"SELECT `record_key` FROM {table}{looked_at}{_ordered(query, _quick_count(query))}"
    chosen: Condition = ("`record_key` IN (SELECT `record_key` FROM `page`)", ())
    source, outer, values = _ranked(table, [*conditions.of_keys, chosen], conditions.of_current)
    text, outer_values = where(outer)
    names = ", ".join(map(quote, columns))
    sql = (
        f"WITH `page` AS ({page}) SELECT {names}, (SELECT COUNT(*) FROM `page`) AS `looked_at`"
        f" FROM {source}{text}{_ordered(query, query.limit + 1)}"
    )
    return Statement(sql, (*page_values, *values, *outer_values), columns)


def quick_page(query: ItemsQuery, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]] | None:
    """Return the page that rows of ``quick_statement`` are, None if they are not all of it.

    They are when there are enough of them, or when no version was left to look at.
    """
    if not rows or query.limit is None:
        return None
    if len(rows) <= query.limit and rows[0][-1] >= _quick_count(query):
        return None
    return [tuple(row[:-1]) for row in rows]


def _quick_count(query: ItemsQuery) -> int:
    return QUICK_FACTOR * ((query.limit or 0) + 1)


def _selected(query: ItemsQuery, source: _Source) -> Statement:
    columns = columns_of(query)
    table, conditions, table_values = source
    text, values = where(conditions)
    count = None if query.limit is None else query.limit + 1
    sql = f"SELECT {', '.join(map(quote, columns))} FROM {table}{text}{_ordered(query, count)}"
    return Statement(sql, (*table_values, *values), columns)


def count_statement(query: ItemsQuery, scope: Sequence[Filter] = ()) -> Statement:
    """Return the SELECT of how many items match, on all pages."""
    conditions = _conditions(query, scope, has_cursor=False)
    if _has_window(query) and not conditions.of_current:
        # As many current rows as keys: no version has to be ranked.
        text, bound_values = where(conditions.of_keys)
        counted = f"SELECT COUNT(DISTINCT `record_key`) FROM {_table(query.collection)}{text}"
        return Statement(counted, bound_values, ("count",))
    table, outer, table_values = _rows(query, scope, is_count=True)
    text, values = where(outer)
    return Statement(f"SELECT COUNT(*) FROM {table}{text}", (*table_values, *values), ("count",))


def extent_statement(collection: Collection, scope: Sequence[Filter] = ()) -> Statement | None:
    """Return the SELECT of the edges and times of all rows, superseded ones too.

    One row of ``west, south, east, north, start, end`` as far as there are any; None without any.
    ``end`` is NULL where a row is still open.
    """
    parts: dict[str, str] = {}
    geometry, time = collection.geometry, collection.time
    edges = geometry and (geometry.bbox or (geometry.point and geometry.point * 2))
    if edges:
        made = zip(("west", "south", "east", "north"), edges, strict=True)
        for place, (name, column) in enumerate(made):
            parts[name] = f"{'MIN' if place < 2 else 'MAX'}({quote(column)})"
    if time is not None:
        last = quote(time.end or time.start)
        is_open = f"COUNT(*) > COUNT({last})" if time.end else "FALSE"
        parts["start"] = f"MIN({quote(time.start)})"
        parts["end"] = f"CASE WHEN {is_open} THEN NULL ELSE MAX({last}) END"
    if not parts:
        return None
    text, values = where([condition(collection, one) for one in scope])
    columns = ", ".join(f"{made} AS {quote(name)}" for name, made in parts.items())
    return Statement(f"SELECT {columns} FROM {_table(collection)}{text}", values, tuple(parts))


def order_values(query: ItemsQuery, statement: Statement, row: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of the query's order in one row: where a page that ends there ends."""
    places = {name: place for place, name in enumerate(statement.columns)}
    return tuple(row[places[part.name]] for part in query.order)


def columns_of(query: ItemsQuery) -> tuple[str, ...]:
    """Return what an answer shows, and is made from: the key, the geometry, the order."""
    collection = query.collection
    if query.properties is None:
        return tuple(one.name for one in collection.properties)
    needed = {*query.properties, *(part.name for part in query.order)}
    needed.update((RECORD_KEY,) if collection.is_dataset else collection.key)
    if collection.geometry is not None:
        source = collection.geometry
        needed.update(name for name in (source.geojson, *(source.point or ())) if name)
    return tuple(one.name for one in collection.properties if one.name in needed)


@dataclass(frozen=True, slots=True)
class _Conditions:
    """of_keys hold for all versions of a key alike (or choose versions, as as_of does)."""

    of_keys: list[Condition]
    of_current: list[Condition]


def _has_window(query: ItemsQuery) -> bool:
    return query.collection.is_dataset and not query.has_all_versions


_Source = tuple[str, list[Condition], tuple[Any, ...]]
"""What to select from, the conditions on it, and the values bound in the former."""


def _rows(query: ItemsQuery, scope: Sequence[Filter], *, is_count: bool = False) -> _Source:
    conditions = _conditions(query, scope, has_cursor=not is_count)
    table = _table(query.collection)
    if not _has_window(query):
        return f"{table} AS `items`", [*conditions.of_keys, *conditions.of_current], ()
    inner = list(conditions.of_keys)
    if conditions.of_current:
        inner.append(_keys_with(table, [*conditions.of_keys, *conditions.of_current]))
    elif not is_count and query.limit is not None and _is_by_key(query):
        inner.append(_keys_of_page(table, query, conditions.of_keys))
    return _ranked(table, inner, conditions.of_current)


def _ranked(table: str, inner: Sequence[Condition], outer: Sequence[Condition]) -> _Source:
    text, values = where(inner)
    current = f"(SELECT *, {RANK} FROM {table}{text}) AS `items`"
    return current, [CURRENT, *outer], values


def _keys_with(table: str, conditions: Sequence[Condition]) -> Condition:
    text, values = where(conditions)
    return f"`record_key` IN (SELECT `record_key` FROM {table}{text})", values


def _keys_of_page(table: str, query: ItemsQuery, conditions: Sequence[Condition]) -> Condition:
    text, values = where(conditions)
    names = ", ".join(dict.fromkeys(map(quote, (RECORD_KEY, *(p.name for p in query.order)))))
    count = None if query.limit is None else query.limit + 1
    keys = f"SELECT {names} FROM {table}{text} GROUP BY {names}{_ordered(query, count)}"
    return f"`record_key` IN (SELECT `record_key` FROM ({keys}) AS `page`)", values


def _conditions(query: ItemsQuery, scope: Iterable[Filter], *, has_cursor: bool) -> _Conditions:
    collection = query.collection
    sorted_out = _Conditions([], [])
    keys = frozenset({*collection.key, RECORD_KEY}) if collection.is_dataset else frozenset()

    def add(made: Condition, names: frozenset[str]) -> None:
        (sorted_out.of_keys if names <= keys else sorted_out.of_current).append(made)

    whole: list[Expression] = [*scope, *query.filters]
    whole += [one for one in (query.bbox, query.where) if one is not None]
    for one in whole:
        add(condition(collection, one), names_of(collection, one))
    if query.between is not None and collection.time is not None:
        span = collection.time
        names = frozenset({span.start, span.end or span.start})
        add(overlaps(collection, span, query.between), names)
    if has_cursor and query.after is not None:
        add(after(query.order, query.after), frozenset(part.name for part in query.order))
    if query.as_of is not None:
        sorted_out.of_keys.extend(_known_at(query))
    return sorted_out


def _known_at(query: ItemsQuery) -> list[Condition]:
    collection = query.collection
    at = bound(query.as_of)
    if collection.is_dataset:
        # The day of acceptance is the partition: later ones are not even opened.
        return [("`accepted_at` <= %s", (at,)), ("`accepted_on` <= %s", (at.date(),))]
    return [] if collection.as_of is None else [holds_at(collection.as_of, at)]


def _is_by_key(query: ItemsQuery) -> bool:
    keys = {*query.collection.key, RECORD_KEY}
    return bool(query.order) and all(part.name in keys for part in query.order)


def _ordered(query: ItemsQuery, count: int | None) -> str:
    """ORDER BY and LIMIT."""
    text = ", ".join(map(_order, query.order))
    limit = "" if count is None else f" LIMIT {int(count)}"
    return f" ORDER BY {text}{limit}" if text else limit


def _order(part: Order) -> str:
    return f"{quote(part.name)}{' DESC' if part.is_descending else ''}"


def _table(collection: Collection) -> str:
    return ".".join(quote(part) for part in collection.table.split("."))
