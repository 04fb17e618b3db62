"""Rows as GeoJSON features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from api.catalog.model import Collection
from emdata.contracts.identity import key_text


def feature(collection: Collection, values: dict[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    """Return a record as a GeoJSON feature with the properties ``shown``.

    values: of all of the collection's properties; the id and the geometry are made of them.
    """
    known = collection.by_name
    hidden = _geometry_columns(collection)
    return {
        "type": "Feature",
        "id": item_id(collection, values),
        "geometry": geometry_of(collection, values),
        "properties": {
            name: json_value(values[name], known[name].type) for name in shown if name not in hidden
        },
    }


def item_id(collection: Collection, values: dict[str, Any]) -> str:
    """Return a feature's id: its key, joined as the contracts join it."""
    known = values.get("record_key")
    if collection.is_dataset and isinstance(known, str):
        return known
    return key_text([_aware(values[name]) for name in collection.key])


def geometry_of(collection: Collection, values: dict[str, Any]) -> Any:
    """Return the geometry as GeoJSON: verbatim where there is one, else the point, else None."""
    geometry = collection.geometry
    if geometry is None:
        return None
    if geometry.geojson is not None and values.get(geometry.geojson):
        return msgspec.Raw(values[geometry.geojson].encode())
    if geometry.point is not None:
        longitude, latitude = (values.get(name) for name in geometry.point)
        if longitude is not None and latitude is not None:
            return {"type": "Point", "coordinates": [longitude, latitude]}
    return None


def json_value(value: Any, kind: str) -> Any:
    """Return a column's value as JSON shows it."""
    if value is None:
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "json":
        return msgspec.Raw(value.encode())
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _geometry_columns(collection: Collection) -> frozenset[str]:
    geometry = collection.geometry
    return (
        frozenset() if geometry is None or not geometry.geojson else frozenset({geometry.geojson})
    )
