"""CoAgMet: units, zones, missing values, columns that do not fit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from emdata.contracts.coagmet import HourlyObservation, Station
from emdata.errors import DocumentError
from emdata.settings import load_settings
from scrapers.offline import RowOutcome, document_of, idle, parse_rows
from scrapers.sources.coagmet import CoagmetHourly, CoagmetStations
from tests.scrapers.serving import Answer, Asked, source

FIXTURES = Path(__file__).parents[1] / "fixtures"
SETTINGS = load_settings({}, env_file=None)
SEVERAL: dict[str, Any] = json.loads(
    (FIXTURES / "coagmet_hourly/several_stations.json").read_bytes()
)
METADATA: dict[str, Any] = json.loads((FIXTURES / "coagmet_stations/metadata.json").read_bytes())


def _outcomes(body: bytes, url: str = "x") -> list[RowOutcome]:
    return list(parse_rows(idle(CoagmetHourly, SETTINGS), document_of(body, url)))


def _records(body: bytes, url: str = "x") -> list[HourlyObservation]:
    found = []
    for row in _outcomes(body, url):
        assert row.rejected is None, row.rejected
        found += [r for r in row.records if isinstance(r, HourlyObservation)]
    return found


def test_us_units_and_mountain_standard_time_are_converted_by_the_header() -> None:
    first, _, last = _records((FIXTURES / "coagmet_hourly/one_station_us_units.json").read_bytes())
    assert first.observed_at == datetime(2026, 6, 18, 18, 0, tzinfo=UTC)
    assert first.air_temperature_c == pytest.approx(21.111111)
    assert first.wind_speed_m_s == pytest.approx(2.1 * 0.44704)
    assert first.relative_humidity == 0.262
    assert last.observed_at == datetime(2026, 6, 19, 7, 0, tzinfo=UTC), "24:00 ends the day"
    assert last.air_temperature_c is None


def test_metric_answers_are_taken_as_they_are_and_minus_999_is_missing() -> None:
    records = _records(json.dumps(SEVERAL).encode())
    assert [r.station_id for r in records] == ["ftl01"] * 3 + ["den01"] * 3
    assert records[0].air_temperature_c == 21.5
    assert records[1].precipitation_mm == 0.25
    measured = records[2].payload()
    assert b"-999" not in measured
    assert records[2].observed_at == datetime(2026, 6, 18, 20, 0, tzinfo=UTC)


def test_a_station_whose_columns_do_not_fit_costs_only_itself() -> None:
    broken = {**SEVERAL, "ftl01": {**SEVERAL["ftl01"], "rh": [0.5, 0.6]}}
    outcomes = _outcomes(json.dumps(broken).encode())
    assert [o.outcome for o in outcomes] == ["rejected"] + ["parsed"] * 3
    assert "rh has 2 values, time has 3" in str(outcomes[0].rejected)
    assert b"[0.5, 0.6]" in outcomes[0].raw, "the source's own bytes are kept"


def test_fault_26_a_poisonous_value_costs_one_hour_of_one_station() -> None:
    body = json.dumps(SEVERAL).replace("21.5", "NaN", 1).encode()
    outcomes = _outcomes(body)
    assert [o.outcome for o in outcomes] == ["rejected"] + ["parsed"] * 5
    assert b"NaN" in outcomes[0].raw


@pytest.mark.parametrize(
    ("field", "value"),
    [("t", -572.8), ("t", 120), ("rh", 55), ("windDir", 361), ("precip", -1), ("t", "warm")],
)
def test_an_impossible_value_is_rejected_and_not_stored(field: str, value: Any) -> None:
    column = [value, *SEVERAL["ftl01"][field][1:]]
    body = {**SEVERAL, "ftl01": {**SEVERAL["ftl01"], field: column}}
    outcomes = _outcomes(json.dumps(body).encode())
    assert [o.outcome for o in outcomes] == ["rejected"] + ["parsed"] * 5


@pytest.mark.parametrize(
    "change",
    [
        {"units": "si"},
        {"timezone": "pst"},
        {"timezone": "mst", "tzOffset": "+00:00"},
        {"tzOffset": "somewhere"},
        {"station": 5},
        {"time": "2026"},
        {"stations": ["other"]},
    ],
)
def test_a_header_that_says_something_else_is_believed_by_nobody(change: dict[str, Any]) -> None:
    body = json.dumps({**SEVERAL, **change}).encode()
    try:
        outcomes = _outcomes(body)
    except DocumentError:
        return
    assert {o.outcome for o in outcomes} == {"rejected"}


def test_fault_27_a_field_that_was_asked_for_must_come_from_some_station() -> None:
    url = "https://coagmet.colostate.edu/data/hourly.json?fields=t,rh,vp"
    one = {k: v for k, v in SEVERAL["ftl01"].items() if k != "vp"}
    two = {k: v for k, v in SEVERAL["den01"].items() if k != "vp"}
    lacking = _outcomes(json.dumps({**SEVERAL, "ftl01": one}).encode(), url)
    assert {o.outcome for o in lacking} == {"parsed"}, "a station may lack a sensor"
    gone = _outcomes(json.dumps({**SEVERAL, "ftl01": one, "den01": two}).encode(), url)
    assert {o.outcome for o in gone} == {"rejected"}


CSV = b"Station,Date and Time,Temp,Rain\r\n,,deg C,mm\r\nden01,2026-06-18T18:00,20.5,1.5\r\n"


def test_csv_counts_by_the_order_that_was_asked_for_and_by_its_row_of_units() -> None:
    (record,) = _records(CSV, "https://x/hourly.csv?fields=t,precip&units=us&tz=utc")
    assert (record.air_temperature_c, record.precipitation_mm) == (20.5, 1.5)
    assert record.observed_at == datetime(2026, 6, 18, 18, tzinfo=UTC)


def test_fault_27_csv_labels_that_nobody_knows_are_no_guess() -> None:
    with pytest.raises(DocumentError, match="'temp' is unknown"):
        _outcomes(CSV)
    with pytest.raises(DocumentError, match="2 columns for 3"):
        _outcomes(CSV, "x?fields=t,rh,precip")
    with pytest.raises(DocumentError, match="unit 'furlong'"):
        _outcomes(CSV.replace(b"deg C", b"furlong"), "x?fields=t,precip")


def test_csv_without_units_is_in_us_units_unless_the_query_says_otherwise() -> None:
    bare = CSV.replace(b",,deg C,mm\r\n", b"")
    assert _records(bare, "x?fields=t,precip&tz=utc")[0].precipitation_mm == pytest.approx(38.1)
    assert _records(bare, "x?fields=t,precip&tz=utc&units=m")[0].precipitation_mm == 1.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Priority.LOW),
        ({"gustSpeed": 26.5}, Priority.NORMAL),
        ({"precip": 25.5}, Priority.NORMAL),
        ({"t": -0.5}, Priority.NORMAL),
    ],
)
def test_frost_gusts_and_downpours_are_above_the_routine(
    values: dict[str, float], expected: Priority
) -> None:
    columns = dict(SEVERAL["ftl01"])
    columns.update({k: [v, v, v] for k, v in values.items()})
    records = _records(json.dumps({**SEVERAL, "ftl01": columns}).encode())
    assert records[0].priority() is expected


def test_frost_in_winter_is_routine() -> None:
    columns = {**SEVERAL["ftl01"], "t": [-5.0, -5.0, -5.0]}
    winter = {**SEVERAL, "ftl01": columns, "time": [f"2026-01-18T{h}:00" for h in (18, 19, 20)]}
    assert {r.priority() for r in _records(json.dumps(winter).encode())} == {Priority.LOW}


def test_stations_are_in_meters_and_an_unknown_height_is_null() -> None:
    body = (FIXTURES / "coagmet_stations/metadata.json").read_bytes()
    found: dict[str, Station] = {}
    for row in parse_rows(idle(CoagmetStations, SETTINGS), document_of(body, "x")):
        assert row.rejected is None
        found |= {r.station_id: r for r in row.records if isinstance(r, Station)}
    ftl, lam = found["ftl01"], found["lam01"]
    assert ftl.elevation_m == pytest.approx(1493.52)
    assert ftl.anemometer_height_m == pytest.approx(2.012)
    assert ftl.location == "5 mi N of Town"
    assert ftl.first_observed_at == datetime(1992, 5, 1, 8, 0, tzinfo=UTC)
    assert lam.anemometer_height_m is None
    assert (ftl.is_active, lam.is_active) == (True, False)


def _clock() -> ManualClock:
    return ManualClock(datetime(2026, 6, 18, 20, 40, tzinfo=UTC))


def _network(asked: Asked) -> Answer:
    if asked.path.endswith("/metadata.json"):
        if asked.headers.get("if-none-match") == '"m"':
            return Answer(status=304)
        return Answer(json.dumps(METADATA).encode(), headers=(("ETag", '"m"'),))
    known = {"ftl01", "den01"}
    if not set(asked.query["stations"].split(",")) <= known:
        return Answer(b"unknown station", status=400)
    return Answer(json.dumps(SEVERAL).encode())


async def test_only_active_stations_of_the_metadata_are_asked_for_with_everything_explicit() -> (
    None
):
    async with source(_network, _clock()) as world:
        poll = await world.poll(CoagmetHourly)
    query = world.asked[1].query
    assert query["stations"] == "den01,ftl01"
    assert (query["units"], query["tz"], query["dateFmt"], query["header"]) == (
        "m", "utc", "iso", "yes",
    )  # fmt: skip
    assert query["fields"].split(",")[:2] == ["t", "rh"]
    assert query["span"] == "7"
    assert len(poll.records) == 6
    assert poll.cursor == {"observed_at": "2026-06-18T20:00:00.000000"}


@pytest.mark.parametrize(
    ("newest", "span"),
    [
        ("2026-06-18T20:00:00.000000", "2"),
        ("2026-06-18T23:00:00.000000", "2"),
        ("2026-06-15T20:00:00.000000", "5"),
        ("2020-01-01T00:00:00.000000", "60"),
    ],
)
async def test_two_days_are_read_again_and_an_outage_is_caught_up(newest: str, span: str) -> None:
    async with source(_network, _clock()) as world:
        await world.poll(CoagmetHourly, {"observed_at": newest})
    assert world.asked[1].query["span"] == span


async def test_stations_are_a_full_pull_and_an_unchanged_list_is_none() -> None:
    async with source(_network, _clock()) as world:
        first = await world.poll(CoagmetStations)
        second = await world.poll(CoagmetStations, first.cursor)
    assert first.documents[0].complete
    assert len(first.records) == 3
    assert second.documents[0].not_modified
    assert not second.documents[0].complete
    assert second.cursor == first.cursor


async def test_a_backfill_is_read_month_by_month() -> None:
    async with source(_network, _clock()) as world:
        await world.poll(CoagmetHourly, {"since": "2026-01-01", "until": "2026-02-15"})
    asked = [(a.query["from"], a.query["to"]) for a in world.asked[1:]]
    assert asked == [
        ("2026-01-01T00:00", "2026-01-30T23:59"),
        ("2026-01-31T00:00", "2026-02-15T23:59"),
    ]
