"""A collection's properties as JSON Schema: what can be asked (Part 3) and what comes (Part 5)."""

from __future__ import annotations

from typing import Any

from api.catalog.model import Collection, Property
from api.query.cql2_conditions import GEOMETRY
from api.query.parameters import RESERVED

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MEDIA_TYPE = "application/schema+json"
_TYPES: dict[str, dict[str, str]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "json": {},
}


def queryables(collection: Collection, address: str) -> dict[str, Any]:
    """Return what filters may name (OGC 19-079r2, section 6)."""
    asked = [one for one in collection.properties if one.is_filterable]
    return _schema(collection, address, asked, "What can be asked of")


def schema(collection: Collection, address: str) -> dict[str, Any]:
    """Return what a feature's properties are."""
    hidden = None if collection.geometry is None else collection.geometry.geojson
    shown = [one for one in collection.properties if one.name != hidden]
    made = _schema(collection, address, shown, "Features of")
    made["required"] = [one.name for one in shown if not one.is_nullable]
    return made


def _schema(
    collection: Collection, address: str, properties: list[Property], about: str
) -> dict[str, Any]:
    described = {one.name: _described(collection, one) for one in properties}
    if collection.geometry is not None:
        described[GEOMETRY] = {
            "title": "Geometry, WGS 84",
            "format": "geometry-any" if collection.geometry.geojson else "geometry-point",
            "x-ogc-role": "primary-geometry",
        }
    return {
        "$schema": DIALECT,
        "$id": address,
        "title": f"{about} {collection.title}",
        "description": collection.description,
        "type": "object",
        "properties": described,
        "additionalProperties": False,
    }


def _described(collection: Collection, one: Property) -> dict[str, Any]:
    made: dict[str, Any] = {"title": one.name, **_TYPES[one.type]}
    if one.description:
        made["description"] = one.description
    if one.unit is not None:
        made["x-ogc-unit"] = one.unit
    ids = ("record_key",) if collection.is_dataset else collection.key
    if len(ids) == 1 and one.name == ids[0]:
        made["x-ogc-role"] = "id"
    elif collection.time is not None and one.name == collection.time.start:
        made["x-ogc-role"] = "primary-interval-start" if collection.time.end else "primary-instant"
    elif collection.time is not None and one.name == collection.time.end:
        made["x-ogc-role"] = "primary-interval-end"
    if one.name in RESERVED:
        made["x-emdata-note"] = f"by filter only: {one.name} is another parameter"
    return made
