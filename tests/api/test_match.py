"""How a message that is in force concerns the place that was asked about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.summaries.alerts import match_of
from api.summaries.places import Place

BOULDER = Place("08013", "Boulder County", "CO")
AT_HOME = Place("08013", "Boulder County", "CO", longitude=-105.27, latitude=40.02)
COUNTIES = {"COZ039": frozenset({"08013", "08031"}), "COZ001": frozenset({"08081"})}
AROUND = json.dumps(
    {"type": "Polygon", "coordinates": [[[-106, 39], [-105, 39], [-105, 41], [-106, 39]]]}
)
ELSEWHERE = json.dumps(
    {"type": "Polygon", "coordinates": [[[-106, 39], [-105.5, 39], [-105.5, 41], [-106, 39]]]}
)


def row(zone: str, county: str | None = None) -> dict[str, Any]:
    return {"zone_code": zone, "county_fips": county, "alert_id": "a"}


@pytest.mark.parametrize(
    ("area", "naming", "expected"),
    [
        (row("COC013", "08013"), [], "county"),
        (row("COC081", "08081"), ["a"], None),
        (row("COZ039"), [], "zone"),
        (row("COZ001"), ["a"], None),  # its counties are known, and Boulder is none
        (row("COZ777"), ["a"], "message"),  # better shown than left out
        (row("COZ777"), ["b"], None),
    ],
)
def test_an_area_matches_a_county(
    area: dict[str, Any], naming: list[str], expected: str | None
) -> None:
    assert match_of(area, None, COUNTIES, naming, BOULDER) == expected


def test_a_point_inside_the_polygon_is_told_from_one_in_the_county() -> None:
    area = row("COC013", "08013")
    assert match_of(area, AROUND, {}, (), AT_HOME) == "polygon"
    assert match_of(area, ELSEWHERE, {}, (), AT_HOME) == "county"
    assert match_of(area, None, {}, (), AT_HOME) == "county"


def test_a_polygon_that_cannot_be_read_leaves_the_area() -> None:
    area = row("COC013", "08013")
    assert match_of(area, '{"type": "Polygon"}', {}, (), AT_HOME) == "county"
