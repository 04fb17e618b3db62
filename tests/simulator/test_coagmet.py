"""CoAgMet as a client meets it: columns, units, gaps, late stations, revisions."""

from __future__ import annotations

import csv
import io
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.coagmet.stations import STATIONS
from simulator.coagmet.weather import FIELDS, MISSING
from tests.simulator.running import Simulator, simulator

HOURLY = "coagmet.colostate.edu/data/hourly.json"
METADATA = "coagmet.colostate.edu/data/metadata.json"
PLAIN: dict[str, object] = {"units": "m", "tz": "utc", "dateFmt": "iso", "span": "2"}
HEAD = {"which", "frequency", "timestep", "timezone", "tzOffset", "units", "stations", "time"}
Rows = dict[tuple[str, str], dict[str, float]]


def rows(answer: dict[str, Any]) -> Rows:
    """Turn columns into rows by (station, time)."""
    return {
        (station, time): {name: column[i] for name, column in answer[station].items()}
        for station in answer["stations"]
        for i, time in enumerate(answer["time"])
    }


def test_metadata_lists_all_stations_with_feet_and_activity(world: Simulator) -> None:
    stations = world.get(METADATA, {"tz": "utc"}).json()
    assert set(stations) == set(STATIONS)
    names = (
        "station name location lat lon elevation anemometerHeight active irrigation firstObs"
        " lastObs timestep network"
    )
    for number, entry in stations.items():
        assert set(entry) == set(names.split())
        assert entry["station"] == number == number.lower()
        assert len(number) == 5
        assert 36.9 < entry["lat"] < 41.1
        assert -109.1 < entry["lon"] < -102
        assert 3000 < entry["elevation"] < 9000
    assert {entry["active"] for entry in stations.values()} == {"active", "inactive"}


def test_hourly_columns_have_the_length_of_time_and_two_days_of_hours(world: Simulator) -> None:
    answer = world.get(HOURLY, PLAIN).json()
    assert set(answer) == HEAD | set(answer["stations"])
    times = [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in answer["time"]]
    assert len(times) >= 47
    assert all((b - a).total_seconds() == 3600 for a, b in itertools.pairwise(times))
    for station in answer["stations"]:
        assert list(answer[station]) == list(FIELDS)
        assert all(len(column) == len(times) for column in answer[station].values())
    assert len(answer["stations"]) > 30


def test_values_are_weather(world: Simulator) -> None:
    found = rows(world.get(HOURLY, {**PLAIN, "span": "10"}).json())
    bounds = {
        "t": (-40, 45), "rh": (0, 1), "precip": (0, 40), "windSpeed": (0, 40), "windDir": (0, 360),
        "gustSpeed": (0, 60), "solarRad": (0, 1100), "vp": (0, 5), "st5cm": (-30, 60),
    }  # fmt: skip
    for row in found.values():
        for name, (low, high) in bounds.items():
            assert row[name] == MISSING or low <= row[name] <= high, (name, row)
    missing = sum(value == MISSING for row in found.values() for value in row.values())
    assert 0 < missing < 0.02 * len(found) * len(FIELDS)
    assert any(all(value == MISSING for value in row.values()) for row in found.values())
    assert any(row["precip"] > 0 for row in found.values())


def test_one_station_is_flat_and_fields_keep_their_order(world: Simulator) -> None:
    asked = {**PLAIN, "fields": "precip,t"}
    flat = world.get("coagmet.colostate.edu/data/hourly/fcl01.json", asked).json()
    assert flat["station"] == "fcl01"
    assert list(flat)[-2:] == ["precip", "t"]
    assert len(flat["t"]) == len(flat["time"])


def test_us_units_and_mountain_time_are_the_default(world: Simulator) -> None:
    asked = {"stations": "fcl01,den01", "span": "1"}
    metric = world.get(HOURLY, {**asked, **PLAIN, "span": "1"}).json()
    usual = world.get(HOURLY, asked).json()
    assert (usual["units"], usual["timezone"], usual["tzOffset"]) == ("us", "mst", "-07:00")
    celsius, fahrenheit = metric["fcl01"]["t"][-1], usual["fcl01"]["t"][-1]
    assert fahrenheit == pytest.approx(celsius * 1.8 + 32, abs=0.01)
    last = datetime.fromisoformat(metric["time"][-1]) - datetime.fromisoformat(usual["time"][-1])
    assert last.total_seconds() == 7 * 3600


def test_csv_has_two_header_rows_and_the_same_values(world: Simulator) -> None:
    asked = {**PLAIN, "stations": "fcl01,den01", "fields": "t,precip", "header": "yes"}
    text = world.get("coagmet.colostate.edu/data/hourly.csv", asked).body.decode()
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0] == ["Station", "Date and Time", "Air Temp", "Liquid Precip"]
    assert lines[1] == ["", "", "deg C", "mm"]
    found = rows(world.get(HOURLY, asked).json())
    assert {
        (line[0], line[1]): {"t": float(line[2]), "precip": float(line[3])} for line in lines[2:]
    } == found


@pytest.mark.parametrize(
    "parameters",
    [{"stations": "fcl01,zzz99"}, {"fields": "t,nonsense"}, {"tz": "mars"}, {"span": "many"}],
)
def test_one_unknown_name_fails_the_whole_call(
    world: Simulator, parameters: dict[str, object]
) -> None:
    assert world.get(HOURLY, parameters).status == 400


def test_late_station_is_left_out_and_comes_back_with_its_hours(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    late = world.mutate(coagmet="late_station", station="fcl01", hours=3)
    assert late["station"] == "fcl01"
    world.advance(2 * 3600)
    silent = world.get(HOURLY, PLAIN).json()
    assert "fcl01" not in silent["stations"]
    assert "fcl01" not in silent
    world.advance(2 * 3600)
    back = world.get(HOURLY, PLAIN).json()
    assert "fcl01" in back["stations"]
    assert len(back["fcl01"]["t"]) == len(back["time"])


def test_some_stations_are_late_on_any_day_without_a_mutation(world: Simulator) -> None:
    absent: set[str] = set()
    for _ in range(24):
        world.advance(3600)
        answer = world.get(HOURLY, {**PLAIN, "span": "0.2"}).json()
        absent |= {s.id for s in STATIONS.values() if s.active} - set(answer["stations"])
    assert 1 <= len(absent) < 20


def test_revision_changes_one_value_of_one_hour(world: Simulator) -> None:
    before = rows(world.get(HOURLY, PLAIN).json())
    changed = world.mutate(coagmet="revise")
    after = rows(world.get(HOURLY, PLAIN).json())
    different = [key for key in after if after[key] != before[key]]
    hour = changed["hour"][:16]
    assert different == [(changed["station"], hour)]
    assert after[changed["station"], hour][changed["field"]] == changed["new"]


def test_quality_control_revises_hours_that_were_served_before(world: Simulator) -> None:
    before = rows(world.get(HOURLY, PLAIN).json())
    world.advance(6 * 3600)
    after = rows(world.get(HOURLY, PLAIN).json())
    both = set(before) & set(after)
    changed = [key for key in both if before[key] != after[key]]
    assert 1 <= len(changed) < 0.05 * len(both)


def test_same_seed_gives_the_same_weather_and_mutations_survive_a_restart(tmp_path: Path) -> None:
    with simulator(tmp_path, seed=5) as world:
        world.mutate(coagmet="revise")
        world.mutate(coagmet="late_station")
        world.advance(7200)
        body, clock = world.get(HOURLY, PLAIN).body, world.clock
    with simulator(tmp_path, seed=5, clock=clock) as world:
        assert world.get(HOURLY, PLAIN).body == body


def test_ledger_has_a_row_per_station_and_hour(world: Simulator) -> None:
    found = rows(world.get(HOURLY, PLAIN).json())
    served = {line["key"] for line in world.ledger("coagmet_hourly_observations")}
    assert served == {f"{station}|{time}:00.000000" for station, time in found}
    world.get(METADATA)
    world.advance(3600)
    world.get(METADATA)
    lines = world.ledger("coagmet_stations")
    assert {line["key"] for line in lines} == set(STATIONS)
    assert {line["version"] for line in lines} == {1}


def test_malformed_value_and_drift_are_not_counted(world: Simulator) -> None:
    world.post("faults", {"kind": "malformed_row", "host": "coagmet.colostate.edu", "count": 1})
    answer = world.get(HOURLY, PLAIN).json()
    assert answer[answer["stations"][0]]["t"][0] == "bad"
    count = len(answer["stations"]) * len(answer["time"]) - 1
    assert len(world.ledger("coagmet_hourly_observations")) == count
    world.post("faults", {"kind": "drift", "host": "coagmet.colostate.edu", "count": 1})
    answer = world.get(HOURLY, PLAIN).json()
    assert "t" not in answer[answer["stations"][0]]
