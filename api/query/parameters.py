"""Query parameters of a collection's items -> Asked; every parameter is known or refused.

OGC API - Features Part 1 (17-069r4) and Part 3 (19-079r2), with what is ours: ``state``,
``county``, ``cursor``, ``as_of``, ``count``, ``sortby``, ``properties``. A property's own name is a
filter for equality; given several times, any of its values will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.catalog.model import Collection
from api.problems import bad_parameter
from api.query import boxes, times
from api.query.cql2 import json_filter, text_filter
from api.query.cursor import values_of
from api.query.model import AllOf, AnyOf, Between, Box, Expression, Filter, ItemsQuery, Order
from api.query.values import boolean, integer, plain_text, value_of

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84_HEIGHT = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
MAX_LIMIT = 10_000
DEFAULT_LIMIT = 100
MAX_PARAMETERS = 120
MAX_SORTED = 6
MAX_LISTED = 100
CQL2_TEXT, CQL2_JSON = "cql2-text", "cql2-json"
RESERVED = (
    "bbox",
    "bbox-crs",
    "crs",
    "datetime",
    "state",
    "county",
    "filter",
    "filter-lang",
    "filter-crs",
    "sortby",
    "properties",
    "limit",
    "cursor",
    "as_of",
    "count",
    "lang",
    "f",
)
PAGED = frozenset({"limit", "cursor", "count"})
"""What only pages have; exports and streams leave it out."""
ITEM = frozenset({"as_of", "properties", "crs", "f"})
_VERSION = ("record_version", "seq", "writer")
_STATE = re.compile(r"[A-Z]{2}\Z", re.ASCII)
_COUNTY = re.compile(r"\d{5}\Z", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?\Z", re.ASCII)
_LANGUAGE_PROPERTY = "language"


@dataclass(frozen=True)
class Asked:
    """What a caller asks of a collection, understood.

    given: the parameters as they came, in their order. format: ``f``, not looked at here.
    """

    query: ItemsQuery
    given: tuple[tuple[str, str], ...]
    is_counted: bool = False
    format: str | None = None

    def given_without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return the parameters but for some."""
        return tuple(pair for pair in self.given if pair[0] not in names)


def asked_of(
    collection: Collection,
    given: Sequence[tuple[str, str]],
    *,
    most: int = MAX_LIMIT,
    without: frozenset[str] = frozenset(),
    others: frozenset[str] = frozenset(),
) -> Asked:
    """Return what is asked of items; ``most`` is how many the caller may have on one page.

    without: reserved parameters that the route does not have; ``limit`` among them: no limit.
    others: parameters that the route reads itself. Raises Problem ``bad-parameter``.
    """
    known = frozenset(RESERVED) - without
    own = property_parameters(collection)
    one, properties = _sorted_out(given, known, own, others)
    query = ItemsQuery(
        collection,
        filters=(*_regions(collection, one), *_equalities(collection, properties)),
        bbox=_bbox(collection, one),
        between=_between(collection, one.get("datetime")),
        as_of=_as_of(collection, one.get("as_of")),
        order=_order(collection, one.get("sortby")),
        properties=_properties(collection, one.get("properties")),
        limit=None if "limit" in without else _limit(one.get("limit"), most),
        where=_all_of(_filter(collection, one), _language(collection, one.get("lang"))),
    )
    return _asked(query, one, given)


def asked_of_item(
    collection: Collection, key: tuple[Filter, ...], given: Sequence[tuple[str, str]]
) -> Asked:
    """Return what is asked of one item. Raises Problem ``bad-parameter``."""
    one, _ = _sorted_out(given, ITEM)
    query = ItemsQuery(
        collection,
        filters=key,
        as_of=_as_of(collection, one.get("as_of")),
        properties=_properties(collection, one.get("properties")),
        limit=1,
    )
    return _asked(query, one, given)


def asked_of_versions(
    collection: Collection,
    key: tuple[Filter, ...],
    given: Sequence[tuple[str, str]],
    *,
    most: int = MAX_LIMIT,
) -> Asked:
    """Return what is asked of the versions of one item, newest first.

    Raises Problem ``bad-parameter``.
    """
    one, _ = _sorted_out(given, ITEM | PAGED)
    query = ItemsQuery(
        collection,
        filters=key,
        as_of=_as_of(collection, one.get("as_of")),
        order=tuple(Order(name, is_descending=True) for name in _VERSION),
        properties=_properties(collection, one.get("properties")),
        limit=_limit(one.get("limit"), most),
        has_all_versions=True,
    )
    return _asked(query, one, given)


def _asked(query: ItemsQuery, one: Mapping[str, str], given: Sequence[tuple[str, str]]) -> Asked:
    _check_reference_systems(one)
    cursor = one.get("cursor")
    if cursor is not None:
        query = replace(query, after=values_of(query, cursor))
    count = one.get("count")
    is_counted = count is not None and boolean("count", count)
    return Asked(query, tuple(given), is_counted, one.get("f"))


def only(given: Sequence[tuple[str, str]], allowed: Sequence[str]) -> None:
    """Refuse parameters that a route does not know. Raises Problem ``bad-parameter``.

    Documents that come in one form take ``f=json``.
    """
    one, _ = _sorted_out(given, frozenset(allowed))
    if one.get("f", "json") != "json":
        raise bad_parameter("f", one["f"], "json")


def property_parameters(collection: Collection) -> list[str]:
    """Return the names of the properties that are parameters too: all but the reserved names."""
    return [
        one.name for one in collection.properties if one.is_filterable and one.name not in RESERVED
    ]


def natural_order(collection: Collection) -> tuple[Order, ...]:
    """Return the order of items when none is asked for, which tells every item from the others."""
    return tuple(map(Order, ("record_key",) if collection.is_dataset else collection.key))


def _sorted_out(
    given: Sequence[tuple[str, str]],
    known: frozenset[str],
    own: Sequence[str] = (),
    others: frozenset[str] = frozenset(),
) -> tuple[dict[str, str], dict[str, list[str]]]:
    if len(given) > MAX_PARAMETERS:
        raise bad_parameter("parameters", len(given), f"at most {MAX_PARAMETERS} parameters")
    reserved: dict[str, str] = {}
    properties: dict[str, list[str]] = {}
    for name, text in given:
        if name in known:
            if name in reserved:
                raise bad_parameter(name, text, f"{name} once")
            reserved[name] = text
        elif name in own:
            properties.setdefault(name, []).append(text)
        elif name not in others:
            raise _unknown(name, text, [*sorted(known), *sorted(others), *own])
    return reserved, properties


def _unknown(name: str, text: str, allowed: Sequence[str]) -> Exception:
    return bad_parameter(name[:100], text, f"one of the parameters {', '.join(allowed)}")


def _regions(collection: Collection, one: Mapping[str, str]) -> list[Filter]:
    filters = []
    for name, column, pattern, what in (
        ("state", collection.state, _STATE, "two letters, such as CO, or several with commas"),
        (
            "county",
            collection.county,
            _COUNTY,
            "a FIPS code of five digits, or several with commas",
        ),
    ):
        text = one.get(name)
        if text is None:
            continue
        if column is None or column not in collection.by_name:
            raise bad_parameter(name, text, f"a collection by {name}; {collection.id} is not")
        codes = text.upper().split(",", MAX_LISTED)
        if len(codes) > MAX_LISTED or not all(map(pattern.match, codes)):
            raise bad_parameter(name, text, f"{what}, at most {MAX_LISTED}")
        filters.append(_any_of(column, codes))
    return filters


def _equalities(collection: Collection, properties: Mapping[str, list[str]]) -> list[Filter]:
    filters = []
    for name, texts in properties.items():
        values = [value_of(name, collection.by_name[name], text) for text in texts]
        filters.append(_any_of(name, values))
    return filters


def _any_of(name: str, values: Sequence[Any]) -> Filter:
    if len(values) == 1:
        return Filter(name, "=", tuple(values))
    return Filter(name, "in", tuple(values))


def _bbox(collection: Collection, one: Mapping[str, str]) -> Box | None:
    text = one.get("bbox")
    if text is None:
        return None
    if collection.geometry is None:
        raise bad_parameter(
            "bbox", text, f"a collection with a geometry; {collection.id} has none, try county"
        )
    return boxes.box("bbox", text)


def _between(collection: Collection, text: str | None) -> Between | None:
    if text is None:
        return None
    if collection.time is None:
        raise bad_parameter("datetime", text, f"a collection with a time; {collection.id} has none")
    return times.interval("datetime", text)


def _as_of(collection: Collection, text: str | None) -> datetime | None:
    if text is None:
        return None
    if not collection.is_dataset and collection.as_of is None:
        raise bad_parameter(
            "as_of", text, f"a collection that knows its past; {collection.id} has only its present"
        )
    return times.instant("as_of", text)


def _order(collection: Collection, text: str | None) -> tuple[Order, ...]:
    order: list[Order] = []
    allowed = [one.name for one in collection.properties if one.is_filterable]
    for part in [] if text is None else text.split(",", MAX_SORTED):
        # A plus sign that was not escaped arrives as a space.
        name = part[1:] if part[:1] in ("+", "-", " ") else part
        if name not in allowed or len(order) >= MAX_SORTED:
            raise bad_parameter(
                "sortby", text, f"up to {MAX_SORTED} of {', '.join(allowed)}, - descends"
            )
        # Named again it orders nothing more.
        if name not in {one.name for one in order}:
            order.append(Order(name, part.startswith("-")))
    named = {one.name for one in order}
    return (*order, *(part for part in natural_order(collection) if part.name not in named))


def _properties(collection: Collection, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(text.split(",", len(collection.properties))))
    unknown = [name for name in names if name not in collection.by_name]
    if unknown:
        raise bad_parameter("properties", text, ", ".join(collection.by_name))
    return names


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return min(DEFAULT_LIMIT, most)
    asked = integer("limit", text)
    if not 1 <= asked <= MAX_LIMIT:
        raise bad_parameter("limit", text, f"1 to {MAX_LIMIT}; follow the next links for more")
    return min(asked, most)


def _filter(collection: Collection, one: Mapping[str, str]) -> Expression | None:
    language = one.get("filter-lang", CQL2_TEXT)
    readers: dict[str, Callable[[Collection, str], Expression]] = {
        CQL2_TEXT: text_filter,
        CQL2_JSON: json_filter,
    }
    if language not in readers:
        raise bad_parameter("filter-lang", language, f"{CQL2_TEXT} or {CQL2_JSON}")
    text = one.get("filter")
    if text is None:
        return None
    return readers[language](collection, text)


def _language(collection: Collection, text: str | None) -> Expression | None:
    """Where items say their language: those in the asked one, and those that do not say."""
    if text is None:
        return None
    if _LANGUAGE.match(text) is None:
        raise bad_parameter("lang", text, "a language tag such as en or es-US")
    if _LANGUAGE_PROPERTY in collection.by_name:
        name = _LANGUAGE_PROPERTY
        same = AnyOf((Filter(name, "=", (text,)), Filter(name, "like", (f"{text}-%",))))
        return AnyOf((same, Filter(name, "is null")))
    if text.lower().partition("-")[0] != "en":
        raise bad_parameter("lang", text, f"en; {collection.id} is in English only")
    return None


def _all_of(*parts: Expression | None) -> Expression | None:
    there = tuple(part for part in parts if part is not None)
    if len(there) < 2:
        return there[0] if there else None
    return AllOf(there)


def _check_reference_systems(one: Mapping[str, str]) -> None:
    for name in ("crs", "bbox-crs", "filter-crs"):
        text = one.get(name)
        if text is not None and text not in (CRS84, CRS84_HEIGHT):
            raise bad_parameter(name, plain_text(name, text), CRS84)
