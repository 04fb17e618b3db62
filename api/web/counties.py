"""Outlines of counties for the map, from the seeds that also tell which county a point is in.

The seeds hold the edges that divide two counties, without the horizontal ones (a horizontal ray
never crosses them). At every latitude a county's loose ends come in pairs, and a horizontal edge
closes each pair. See ``dbt_project/seeds/README.md``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import shapely

NOBODY = "-"
UNIT = 10_000  # the seeds' numbers to a degree
MAX_FIELD = 1 << 24
SIMPLIFY_DEGREES = 0.01
"""About a kilometer: less than a pixel on a map of the country."""

Vertex = tuple[int, int]
Edge = tuple[Vertex, Vertex]


def county_outlines(seeds: Path) -> bytes:
    """Return a GeoJSON FeatureCollection: ``id`` is the FIPS code, ``name`` and ``state`` beside.

    Coordinates are WGS 84 with three decimals. A county without edges is left out.
    """
    names = _names(seeds / "geo_counties.csv")
    states = {row["state_fips"]: row["state"] for row in _rows(seeds / "geo_states.csv")}
    features = []
    for fips, edges in sorted(edges_by_county(seeds / "geo_county_edges.csv").items()):
        if fips not in names:
            continue
        shape = shapely.simplify(outline(edges), SIMPLIFY_DEGREES)
        features.append(
            {
                "type": "Feature",
                "id": fips,
                "properties": {"name": names[fips], "state": states.get(fips[:2])},
                "geometry": msgspec.Raw(_geojson(shape)),
            }
        )
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def edges_by_county(file: Path) -> dict[str, list[Edge]]:
    """Return each county's edges, in the seeds' unit."""
    found: dict[str, list[Edge]] = defaultdict(list)
    for row in _rows(file):
        for text in row["edges"].split(";"):
            left, right, *numbers = text.split(" ")
            x1, y1, x2, y2 = map(int, numbers)
            edge = ((x1, y1), (x2, y2))
            for fips in (left, right):
                if fips != NOBODY:
                    found[fips].append(edge)
    return dict(found)


def outline(edges: Iterable[Edge]) -> shapely.Geometry:
    """Return the area within edges and the horizontal ones that they lack, in degrees."""
    known = list(edges)
    lines = [
        shapely.LineString([(x / UNIT, y / UNIT) for x, y in edge])
        for edge in (*known, *_horizontal(known))
    ]
    rings = shapely.polygonize([shapely.node(shapely.MultiLineString(lines))])
    return _filled(list(rings.geoms), known)


def _horizontal(edges: Iterable[Edge]) -> Iterator[Edge]:
    """Yield the edges that close what is open: a vertex with an odd number of edges is an end."""
    ends: dict[Vertex, int] = defaultdict(int)
    for edge in edges:
        for vertex in edge:
            ends[vertex] += 1
    loose: dict[int, list[int]] = defaultdict(list)
    for (x, y), count in ends.items():
        if count % 2:
            loose[y].append(x)
    for y, xs in loose.items():
        xs.sort()
        for left, right in zip(xs[::2], xs[1::2], strict=False):
            yield ((left, y), (right, y))


def _filled(parts: list[shapely.Geometry], edges: list[Edge]) -> shapely.Geometry:
    """Join the parts that lie inside by the even-odd rule, so that holes stay holes."""
    inside = [part for part in parts if _is_inside(shapely.point_on_surface(part), edges)]
    return shapely.union_all(inside)


def _is_inside(point: shapely.Geometry, edges: list[Edge]) -> bool:
    x, y = float(shapely.get_x(point)) * UNIT, float(shapely.get_y(point)) * UNIT
    crossings = 0
    for (x1, y1), (x2, y2) in edges:
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            crossings += 1
    return crossings % 2 == 1


def _geojson(shape: shapely.Geometry) -> bytes:
    return shapely.to_geojson(shapely.set_precision(shape, 0.001)).encode()


def _names(file: Path) -> dict[str, str]:
    return {row["county_fips"]: row["county_name"] for row in _rows(file)}


def _rows(file: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(MAX_FIELD)
    with file.open(encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)
