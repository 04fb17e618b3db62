"""What OpenAPI says of one collection's parameters: its properties, formats, and what it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from api.catalog.model import Collection, Property
from api.formats.model import Format
from api.query.cql2 import LONGEST
from api.query.openapi import Parameter, list_parameter, parameter
from api.query.parameters import MAX_SORTED, property_parameters
from api.query.values import LONGEST_TEXT

_SCHEMAS: dict[str, dict[str, Any]] = {
    "string": {"type": "string", "maxLength": LONGEST_TEXT, "pattern": "^[^\\u0000]*$"},
    "integer": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
}
_ENGLISH = "^[Ee][Nn](-[A-Za-z0-9]{2,8})?$"


def specialized(
    collection: Collection, general: Sequence[Parameter], formats: Sequence[Format]
) -> list[Parameter]:
    """Return the parameters of a route as one collection has them.

    general: those of the route for any collection. formats: what the route answers in.
    """
    own = {one["name"]: one for one in _own(collection, formats)}
    missing = frozenset(_missing(collection))
    made = [
        own.get(one["name"], one)
        for one in general
        if one["name"] not in missing and one["in"] != "path"
    ]
    made += [one for one in general if one["in"] == "path" and one["name"] != "collection_id"]
    if any(one["name"] == "filter" for one in general):
        taken = {one["name"] for one in made}
        made += [one for one in _equalities(collection) if one["name"] not in taken]
    return made


def _missing(collection: Collection) -> Iterator[str]:
    """Yield the parameters that would be refused for this collection."""
    if collection.geometry is None:
        yield from ("bbox", "bbox-crs")
    if collection.time is None:
        yield "datetime"
    if not collection.is_dataset and collection.as_of is None:
        yield "as_of"
    if collection.state is None:
        yield "state"
    if collection.county is None:
        yield "county"


def _own(collection: Collection, formats: Sequence[Format]) -> Iterator[Parameter]:
    names = [one.name for one in collection.properties]
    asked = [one.name for one in collection.properties if one.is_filterable]
    key = collection.key[0]
    yield parameter(
        "f",
        "Format; wins over the header Accept.",
        {"type": "string", "enum": [one.name for one in formats]},
    )
    yield list_parameter(
        "properties",
        "Only these properties; the id and the geometry always come.",
        {"type": "string", "enum": names},
        [key],
        minItems=1,
        maxItems=len(names),
        uniqueItems=True,
    )
    yield list_parameter(
        "sortby",
        "Order by these properties; - before a name descends. Missing values are the lowest.",
        {"type": "string", "enum": [*asked, *(f"-{name}" for name in asked)]},
        [f"-{key}"],
        minItems=1,
        maxItems=MAX_SORTED,
        uniqueItems=True,
    )
    first = asked[0]
    yield parameter(
        "filter",
        "A CQL2 condition over the queryables.",
        {"type": "string", "maxLength": LONGEST},
        example=f"{first} IS NOT NULL AND NOT {first} IS NULL",
    )
    if "language" not in names:
        yield parameter(
            "lang",
            "What is here is in English only.",
            {"type": "string", "pattern": _ENGLISH},
            example="en",
        )


def _equalities(collection: Collection) -> Iterator[Parameter]:
    """Yield a parameter for each property that may be asked for by its name."""
    for name in property_parameters(collection):
        one = collection.by_name[name]
        yield parameter(name, _about(one), _SCHEMAS[one.type])


def _about(one: Property) -> str:
    unit = "" if one.unit is None else f" ({one.unit})"
    return f"{one.description}{unit}. Given several times: any of the values."
