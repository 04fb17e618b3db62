"""What one page may cost: rows asked for times the width of a row, known before anything is read.

Exports are counted by the route that makes them; this is for answers that are held as a whole.
"""

from __future__ import annotations

from api.access.caller import Policy
from api.catalog.model import Collection, Property
from api.problems import Problem
from api.query.model import ItemsQuery

CELLS_A_ROW = 100
"""A page of as many rows as a policy allows may be so wide."""
LONG = 25
"""A geometry or another document weighs as much as so many plain values."""


def refuse_expensive(query: ItemsQuery, policy: Policy) -> None:
    """Raise Problem ``too-expensive``, with what would make it cheaper, for too large a page."""
    if query.limit is None:
        return
    width, most = width_of(query), policy.rows_per_page * CELLS_A_ROW
    if query.limit * width <= most:
        return
    fits = max(1, most // width)
    sent_anyway = {*query.collection.key, _geojson(query.collection)}
    long = [one.name for one in _shown(query) if _weight(one) > 1 and one.name not in sent_anyway]
    advice = f"limit={fits}, and follow the next links"
    if long:
        advice += f"; or properties= without {', '.join(long)}"
    detail = f"{query.limit} rows of this width are too much for one page; ask for {advice}"
    raise Problem("too-expensive", detail, limit=fits)


def width_of(query: ItemsQuery) -> int:
    """Return the weight of one row of the answer."""
    return sum(map(_weight, _shown(query)))


def _shown(query: ItemsQuery) -> list[Property]:
    collection: Collection = query.collection
    if query.properties is None:
        return list(collection.properties)
    wanted = {*query.properties, *collection.key, _geojson(collection)}
    return [one for one in collection.properties if one.name in wanted]


def _geojson(collection: Collection) -> str | None:
    """Return the property that holds the geometry, which is sent with every item."""
    return None if collection.geometry is None else collection.geometry.geojson


def _weight(one: Property) -> int:
    return LONG if one.type == "json" else 1
