"""The Drought Monitor as a client meets it: weeks, formats, revisions."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.running import Simulator, simulator

PATH = "usdmdataservices.unl.edu/api/CountyStatistics/GetDroughtSeverityStatisticsByAreaPercent"
ASKED: dict[str, object] = {
    "aoi": "CO",
    "startdate": "11/1/2025",
    "enddate": "1/1/2026",
    "statisticsType": "1",
}
JSON = {"Accept": "application/json"}


def rows(world: Simulator, **changed: object) -> list[dict[str, Any]]:
    """Return the rows of the JSON answer."""
    found: list[dict[str, Any]] = world.get(PATH, {**ASKED, **changed}, JSON).json()
    return found


def test_maps_are_weekly_newest_first_and_have_all_counties(world: Simulator) -> None:
    found = rows(world)
    days = list(dict.fromkeys(row["mapDate"] for row in found))
    assert days == sorted(days, reverse=True)
    assert {date.fromisoformat(day[:10]).weekday() for day in days} == {1}
    assert len(found) == 64 * len(days)
    assert {row["fips"] for row in found} == {row["fips"] for row in found[:64]}
    assert all(row["fips"].startswith("08") and len(row["fips"]) == 5 for row in found)


def test_map_is_released_on_thursday_after_it_is_valid(world: Simulator) -> None:
    # The clock stands at Thursday 2026-01-01 00:00 UTC; the map of Tuesday comes at 13:30.
    assert rows(world)[0]["mapDate"] == "2025-12-23T00:00:00"
    world.advance(13.5 * 3600)
    assert rows(world)[0]["mapDate"] == "2025-12-30T00:00:00"


def test_cumulative_shares_nest_and_categorical_ones_add_up(world: Simulator) -> None:
    for row in rows(world):
        levels = [row[f"d{level}"] for level in range(5)]
        assert levels == sorted(levels, reverse=True)
        assert row["none"] + row["d0"] == pytest.approx(100)
    for row in rows(world, statisticsType="2"):
        total = row["none"] + sum(row[f"d{level}"] for level in range(5))
        assert total == pytest.approx(100, abs=0.03)
    classes = {name for row in rows(world) for name in ("none", "d0", "d2", "d3") if row[name] > 1}
    assert classes == {"none", "d0", "d2", "d3"}


def test_csv_is_the_default_with_mark_crlf_and_compact_map_dates(world: Simulator) -> None:
    reply = world.get(PATH, ASKED)
    assert reply.body.startswith(b"\xef\xbb\xbfMapDate,FIPS,County,State,None,D0,")
    assert b"\r\n" in reply.body
    lines = list(csv.DictReader(io.StringIO(reply.body.decode("utf-8-sig"))))
    found = rows(world)
    assert [line["FIPS"] for line in lines] == [row["fips"] for row in found]
    assert [float(line["D1"]) for line in lines] == [row["d1"] for row in found]
    assert lines[0]["MapDate"] == found[0]["mapDate"][:10].replace("-", "")
    assert lines[0]["ValidStart"] == found[0]["validStart"][:10]


def test_nothing_found_is_an_empty_list(world: Simulator) -> None:
    assert rows(world, aoi="ZZ") == []
    assert rows(world, startdate="1/1/2030", enddate="2/1/2030") == []
    assert rows(world, aoi="08013")[0]["county"] == "Boulder County"


@pytest.mark.parametrize(
    "changed", [{"startdate": "2025-11-01"}, {"enddate": "13/45/2025"}, {"statisticsType": "9"}]
)
def test_bad_parameter_is_a_400(world: Simulator, changed: dict[str, object]) -> None:
    assert world.get(PATH, {**ASKED, **changed}).status == 400


def test_revision_changes_one_county_of_one_map_and_survives_a_restart(tmp_path: Path) -> None:
    with simulator(tmp_path) as world:
        before = rows(world)
        changed = world.mutate(usda="revise")
        after = rows(world)
        different = [a for a, b in zip(after, before, strict=True) if a != b]
        assert [row["fips"] for row in different] == [changed["fips"]]
        assert different[0]["mapDate"][:10] == changed["valid_on"]
        clock = world.clock
    with simulator(tmp_path, clock=clock) as world:
        assert rows(world) == after


def test_revisions_come_rarely_by_themselves(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    compared = changed = 0
    for _ in range(5):
        before = rows(world, aoi="US", enddate="12/31/2026")
        world.advance(14 * 86_400)
        later = rows(world, aoi="US", enddate="12/31/2026")
        after = {(row["fips"], row["mapDate"]): row for row in later}
        compared += len(before)
        changed += sum(after[row["fips"], row["mapDate"]] != row for row in before)
    assert 1 <= changed < 0.01 * compared


def test_ledger_has_a_row_per_county_map_and_kind(world: Simulator) -> None:
    found = rows(world) + rows(world, statisticsType="2")
    served = {line["key"] for line in world.ledger("usda_drought_counties")}
    assert served == {
        f"{row['fips']}|{row['mapDate'][:10]}|{row['statisticFormatID']}" for row in found
    }
