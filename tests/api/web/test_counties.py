"""Outlines of counties, put together from the edges that the seeds hold."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from api.web.counties import UNIT, Edge, county_outlines, outline
from emdata.settings import REPOSITORY

SEEDS = REPOSITORY / "dbt_project" / "seeds"


def upright(shape: shapely.Geometry) -> list[Edge]:
    """Return the edges of a shape as the seeds keep them: without the horizontal ones."""
    edges = []
    rings = [shape.exterior, *shape.interiors]
    for ring in rings:
        points = [(round(x * UNIT), round(y * UNIT)) for x, y in ring.coords]
        edges += [(one, two) for one, two in pairwise(points) if one[1] != two[1]]
    return edges


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=4, max_size=12),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_an_outline_is_what_its_edges_were_taken_from(
    points: list[tuple[int, int]], size: float
) -> None:
    # Squares joined: shapes with corners, holes and many horizontal edges.
    squares = [shapely.box(x, y, x + 10 * size, y + 10 * size) for x, y in points]
    whole = shapely.union_all(squares)
    parts = [part for part in shapely.get_parts(whole) if isinstance(part, shapely.Polygon)]
    largest = max(parts, key=lambda part: part.area)
    found = outline(upright(largest))
    assert shapely.area(shapely.symmetric_difference(found, largest)) < 1e-6


@pytest.fixture(scope="module")
def outlines() -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = json.loads(county_outlines(SEEDS))["features"]
    return features


def test_every_county_has_an_outline_around_its_point(outlines: list[dict[str, Any]]) -> None:
    shapes = {one["id"]: shapely.from_geojson(json.dumps(one["geometry"])) for one in outlines}
    with (SEEDS / "geo_counties.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["point_longitude"]]
    assert len(rows) > 3000
    for row in rows:
        point = shapely.Point(float(row["point_longitude"]), float(row["point_latitude"]))
        assert shapely.contains(shapes[row["county_fips"]], point), row["county_fips"]


def test_an_outline_says_whose_it_is(outlines: list[dict[str, Any]]) -> None:
    boulder = next(one for one in outlines if one["id"] == "08013")
    assert boulder["properties"] == {"name": "Boulder", "state": "CO"}
