"""What OpenAPI says of the parameters that ``parameters`` reads, and of the answers."""

from __future__ import annotations

from typing import Any

from api.formats.negotiate import FORMATS
from api.problems import documented
from api.query.cql2 import LONGEST
from api.query.parameters import CQL2_JSON, CQL2_TEXT, CRS84, DEFAULT_LIMIT, MAX_LIMIT

Parameter = dict[str, Any]
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_INSTANT = (
    f"{_DAY}(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{{1,6}})?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?"
)
_PROBLEMS = (
    "bad-parameter",
    "not-found",
    "not-acceptable",
    "too-many-requests",
    "timed-out",
    "unavailable",
)


def parameter(name: str, description: str, schema: dict[str, Any], **others: Any) -> Parameter:
    """Return a query parameter as OpenAPI writes it."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        **others,
    }


def list_parameter(
    name: str, description: str, items: dict[str, Any], example: list[Any], **limits: Any
) -> Parameter:
    """Return a query parameter whose values are separated by commas."""
    made = parameter(name, description, {"type": "array", "items": items, **limits})
    return {**made, "style": "form", "explode": False, "example": example}


_CRS = {"type": "string", "format": "uri", "enum": [CRS84]}
_FORMAT = parameter(
    "f",
    "Format; wins over the header Accept. What a collection has is in its links.",
    {"type": "string", "enum": [one.name for one in FORMATS]},
)
_AS_OF = parameter(
    "as_of",
    "What was known then (datasets) or in force then (marts with a history). An instant with Z or "
    "an offset, or a day.",
    {"type": "string", "format": "instant-or-day", "pattern": f"^{_INSTANT}$"},
    example="2026-08-01T12:00:00Z",
)
_PROPERTIES = list_parameter(
    "properties",
    "Only these properties; the id and the geometry always come.",
    {"type": "string"},
    ["accepted_at"],
    minItems=1,
)
_LIMIT = parameter(
    "limit",
    "Items on a page, at most what the caller's class may have.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
_CURSOR = parameter("cursor", "From a `next` link; not to be made by hand.", {"type": "string"})
_COUNT = parameter(
    "count",
    "Whether to count all matching items. They are counted anyhow when one page holds them all.",
    {"type": "boolean", "default": False},
)
_LONGITUDE = {"type": "number", "minimum": -180, "maximum": 180}
_LATITUDE = {"type": "number", "minimum": -90, "maximum": 90}
_HEIGHT = {"type": "number"}
FILTER_PARAMETERS: list[Parameter] = [
    list_parameter(
        "bbox",
        "Items whose geometry's box meets this one: west, south, east, north in degrees (or with "
        "heights, which all meet). West above east crosses the antimeridian. Items without a "
        "geometry are left out.",
        {"type": "number"},
        [-109.1, 36.9, -102.0, 41.1],
        oneOf=[
            {"prefixItems": [_LONGITUDE, _LATITUDE] * 2, "minItems": 4, "maxItems": 4},
            {
                "prefixItems": [_LONGITUDE, _LATITUDE, _HEIGHT] * 2,
                "minItems": 6,
                "maxItems": 6,
            },
        ],
    ),
    parameter(
        "datetime",
        "Items about this time: an instant, a day, or an interval start/end, with .. for an open "
        "end; ends belong to it.",
        {
            "type": "string",
            "format": "interval",
            "pattern": f"^({_INSTANT}|({_INSTANT}|[.][.])?/({_INSTANT}|[.][.])?)$",
        },
        example="2026-08-01/2026-08-31",
    ),
    list_parameter(
        "state",
        "Postal codes of states.",
        {"type": "string", "pattern": "^[A-Za-z]{2}$"},
        ["CO"],
        minItems=1,
        maxItems=100,
    ),
    list_parameter(
        "county",
        "FIPS codes of counties, five digits.",
        {"type": "string", "pattern": "^[0-9]{5}$"},
        ["08013"],
        minItems=1,
        maxItems=100,
    ),
    parameter(
        "filter",
        "A CQL2 condition over the queryables.",
        {"type": "string", "maxLength": LONGEST},
        example="record_key IS NOT NULL AND NOT is_simulated = TRUE",
    ),
    parameter(
        "filter-lang",
        "How `filter` is written.",
        {"type": "string", "enum": [CQL2_TEXT, CQL2_JSON], "default": CQL2_TEXT},
    ),
    parameter(
        "lang",
        "Items in this language, and those that do not say. What has no language is in English.",
        {"type": "string", "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$"},
        example="en",
    ),
    parameter("crs", "Reference system of the answer.", _CRS),
    parameter("bbox-crs", "Reference system of `bbox`.", _CRS),
    parameter("filter-crs", "Reference system of `filter`.", _CRS),
]
ORDER_PARAMETERS: list[Parameter] = [
    list_parameter(
        "sortby",
        "Order by these properties; - before a name descends. Missing values are the lowest.",
        {"type": "string"},
        ["-accepted_at"],
        minItems=1,
        maxItems=6,
    ),
    _PROPERTIES,
]
ITEMS_PARAMETERS = [
    *FILTER_PARAMETERS,
    _AS_OF,
    *ORDER_PARAMETERS,
    _LIMIT,
    _CURSOR,
    _COUNT,
    _FORMAT,
]
ITEM_PARAMETERS = [_AS_OF, _PROPERTIES, parameter("crs", "Reference system.", _CRS), _FORMAT]
VERSIONS_PARAMETERS = [*ITEM_PARAMETERS, _LIMIT, _CURSOR, _COUNT]
_ORIGIN = {"dataVersion": "7", "newestAcceptedAt": "2026-08-01T12:00:03Z", "isSimulated": False}
_FEATURE = {
    "type": "Feature",
    "id": "4659|99013",
    "geometry": None,
    "properties": {"disaster_number": 4659, "place_code": "99013", "state": "CO"},
}
_COLLECTION = {
    "type": "FeatureCollection",
    "timeStamp": "2026-08-01T12:00:05Z",
    **_ORIGIN,
    "numberMatched": 1,
    "features": [_FEATURE],
    "numberReturned": 1,
    "links": [{"href": "/collections/fema_disaster_declarations/items", "rel": "self"}],
}


def _content(example: dict[str, Any], *, is_item: bool) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for one in FORMATS:
        if one.is_page or is_item:
            content.setdefault(one.media_types[0], {})
    content["application/geo+json"] = {"schema": {"type": "object"}, "example": example}
    return content


ITEMS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page of items", "content": _content(_COLLECTION, is_item=False)},
    **documented(*_PROBLEMS),
}
ITEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "One item", "content": _content({**_FEATURE, **_ORIGIN}, is_item=True)},
    **documented(*_PROBLEMS),
}
