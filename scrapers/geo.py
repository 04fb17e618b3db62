"""Geometry from sources: checked GeoJSON text, its bounding box and a point within it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from emdata.errors import RowError
from scrapers.values import LONGEST_TEXT

MAX_POINTS = 20_000
_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """GeoJSON text (WGS 84, longitude first) with what is asked of it most, in degrees."""

    geojson: str
    west: float
    south: float
    east: float
    north: float
    longitude: float
    latitude: float


def shape_of(geometry: Any) -> Shape | None:
    """Return a decoded GeoJSON geometry as a ``Shape``; None for null.

    Raises RowError for an unknown type, a coordinate outside WGS 84 (latitude and longitude
    swapped, as a rule) and more than ``MAX_POINTS`` points.
    """
    if geometry is None:
        return None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    depth = _DEPTHS.get(kind) if isinstance(kind, str) else None
    if depth is None:
        raise RowError(f"geometry: type {kind!r}; allowed: null, {', '.join(_DEPTHS)}")
    points: list[tuple[float, float]] = []
    for point in _points(geometry.get("coordinates"), depth):
        points.append(_checked(point))
        if len(points) > MAX_POINTS:
            raise RowError(f"geometry: more than {MAX_POINTS} points")
    if not points:
        raise RowError("geometry: no coordinates")
    west, east = min(p[0] for p in points), max(p[0] for p in points)
    south, north = min(p[1] for p in points), max(p[1] for p in points)
    longitude, latitude = _inside(geometry, ((west + east) / 2, (south + north) / 2))
    text = msgspec.json.encode({"type": kind, "coordinates": geometry["coordinates"]}).decode()
    if len(text) > LONGEST_TEXT:
        raise RowError(f"geometry: {len(text)} characters; allowed: {LONGEST_TEXT}")
    return Shape(text, west, south, east, north, longitude, latitude)


def _points(coordinates: Any, depth: int) -> Iterator[Any]:
    if depth == 0:
        yield coordinates
        return
    if not isinstance(coordinates, list):
        raise RowError("geometry: coordinates are not nested as its type asks")
    for inner in coordinates:
        yield from _points(inner, depth - 1)


def _checked(point: Any) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) not in (2, 3):
        raise RowError("geometry: a point is not two or three numbers")
    longitude, latitude = point[0], point[1]
    for value, limit in ((longitude, 180), (latitude, 90)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or abs(value) > limit:
            raise RowError(f"geometry: coordinate {point[:2]!r:.80} is outside of WGS 84")
    return float(longitude), float(latitude)


def _inside(geometry: dict[str, Any], center: tuple[float, float]) -> tuple[float, float]:
    """A point on the shape; the middle of the box where the rings are broken."""
    import shapely
    from shapely.geometry import shape

    try:
        point = shape(geometry).representative_point()
    except (shapely.errors.GEOSException, ValueError):
        return center
    if point.is_empty:
        return center
    return round(point.x, 6), round(point.y, 6)
