"""What a contract's fields are in a table, and which of them place a record on the globe."""

from __future__ import annotations

from datetime import date, datetime

from emdata.contracts.base import Field
from emdata.tabular.model import Kind, Places

_KINDS: dict[type, Kind] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    date: "date",
    datetime: "date-time",
}
_GEOJSON = "geometry"
_POINTS = (("point_longitude", "point_latitude"), ("longitude", "latitude"))


def kind_of(field: Field) -> Kind:
    """Return what a field's values are."""
    return "json" if field.kind == "json" else _KINDS[field.base]


def places_of(names: set[str]) -> Places | None:
    """Return which columns place a row, by the names that contracts use; None without any."""
    point = next((pair for pair in _POINTS if names.issuperset(pair)), None)
    geojson = _GEOJSON if _GEOJSON in names else None
    return Places(geojson, point) if point or geojson else None
