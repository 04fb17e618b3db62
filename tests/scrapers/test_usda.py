"""The Drought Monitor: formats, shares, bounds of the query."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from emdata.contracts.usda import DroughtCounty
from emdata.settings import load_settings
from scrapers.offline import RowOutcome, document_of, idle, parse_rows
from scrapers.sources.usda import UsdaDrought
from tests.scrapers.serving import Answer, Asked, source

FIXTURES = Path(__file__).parents[1] / "fixtures" / "usda_drought"
SETTINGS = load_settings({"STATES": "WY,CO", "HISTORY_SINCE": "2026-01-06"}, env_file=None)
ROWS: list[dict[str, Any]] = json.loads((FIXTURES / "percent.json").read_bytes())
PERCENT = "https://usdmdataservices.unl.edu/api/CountyStatistics/X/ByAreaPercent"


def _outcomes(body: bytes, url: str = "x") -> list[RowOutcome]:
    return list(parse_rows(idle(UsdaDrought, SETTINGS), document_of(body, url)))


def _records(body: bytes, url: str = "x") -> list[DroughtCounty]:
    found = []
    for row in _outcomes(body, url):
        assert row.rejected is None, row.rejected
        found += [r for r in row.records if isinstance(r, DroughtCounty)]
    return found


def test_csv_and_json_say_the_same() -> None:
    by_key = {r.record_key(): r for r in _records((FIXTURES / "percent.json").read_bytes())}
    boulder = _records((FIXTURES / "percent.csv").read_bytes())[0]
    assert boulder == by_key[boulder.record_key()]
    assert boulder.county_fips == "08013"
    assert boulder.valid_on == date(2026, 6, 16)
    assert boulder.valid_to == date(2026, 6, 22)


def test_areas_with_commas_become_shares_of_the_county() -> None:
    (record,) = _records((FIXTURES / "area.csv").read_bytes())
    total = 1204.10 + 78.02
    assert record.none_percent == pytest.approx(100 * 1204.10 / total, abs=1e-4)
    assert record.d0_percent == pytest.approx(100 * 78.02 / total, abs=1e-4)


@pytest.mark.parametrize("fips", [8013, "8013", "08013"])
def test_a_county_code_keeps_its_leading_zero(fips: Any) -> None:
    (record,) = _records(json.dumps([{**ROWS[0], "fips": fips}]).encode())
    assert record.county_fips == "08013"


@pytest.mark.parametrize(
    "change",
    [
        {"fips": "CO"},
        {"fips": "8"},
        {"mapDate": "20261341"},
        {"d2": 60.0},
        {"none": 20.0},
        {"d0": -1},
        {"d0": "--"},
        {"d1": None},
        {"statisticFormatID": 3},
    ],
)
def test_numbers_that_cannot_be_shares_are_rejected(change: dict[str, Any]) -> None:
    (outcome,) = _outcomes(json.dumps([{**ROWS[0], **change}]).encode(), PERCENT)
    assert outcome.outcome == "rejected"


def test_categorical_shares_add_up_and_are_another_record() -> None:
    cumulative, *_, categorical = _records((FIXTURES / "percent.json").read_bytes())
    assert categorical.statistics_type == 2
    assert cumulative.record_key() != categorical.record_key()


def test_an_empty_list_and_a_bare_header_are_answers_without_rows() -> None:
    assert _outcomes((FIXTURES / "empty.json").read_bytes()) == []
    assert _outcomes((FIXTURES / "header_only.csv").read_bytes()) == []


def test_exceptional_drought_is_urgent() -> None:
    found = [r.priority() for r in _records((FIXTURES / "percent.json").read_bytes())]
    assert found[:3] == [Priority.NORMAL, Priority.LOW, Priority.HIGH]


async def test_each_state_is_asked_for_once_and_four_weeks_are_read_again() -> None:
    def answer(asked: Asked) -> Answer:
        assert asked.headers["accept"] == "application/json"
        return Answer(json.dumps(ROWS).encode() if asked.query["aoi"] == "CO" else b"[]")

    clock = ManualClock(datetime(2026, 6, 18, 20, 0, tzinfo=UTC))
    async with source(answer, clock) as world:
        first = await world.poll(UsdaDrought, settings=SETTINGS)
        assert [a.query["aoi"] for a in world.asked] == ["CO", "WY"]
        assert {a.query["startdate"] for a in world.asked} == {"1/6/2026"}
        assert {a.query["enddate"] for a in world.asked} == {"6/26/2026"}
        assert {a.query["statisticsType"] for a in world.asked} == {"1"}
        assert first.cursor["valid_on"] == "2026-06-16"
        world.asked.clear()
        await world.poll(UsdaDrought, first.cursor, SETTINGS)
        assert world.asked[0].query["startdate"] == "5/19/2026"
        world.asked.clear()
        await world.poll(UsdaDrought, {**first.cursor, "scope": "UT"}, SETTINGS)
        assert world.asked[0].query["startdate"] == "1/6/2026", "new bounds, whole history"


async def test_all_states_means_every_state_with_counties() -> None:
    everything = load_settings({"STATES": "ALL"}, env_file=None)
    clock = ManualClock(datetime(2026, 6, 18, 20, 0, tzinfo=UTC))
    async with source(lambda _: Answer(b"[]"), clock) as world:
        poll = await world.poll(UsdaDrought, settings=everything)
    assert len(poll.documents) == 52
    assert {"DC", "PR", "TX"} <= {a.query["aoi"] for a in world.asked}


def test_a_map_dated_ahead_of_the_source_s_clock_does_not_break_the_cursor() -> None:
    from scrapers.base import Watermark

    seen = Watermark()
    document = document_of(b"[]", "x", datetime(2026, 6, 15, tzinfo=UTC))
    seen.add_document(document)
    for record in _records((FIXTURES / "percent.json").read_bytes()):
        seen.add(record)
    assert idle(UsdaDrought, SETTINGS).next_cursor({}, seen)["valid_on"] == "2026-06-15"


async def test_a_backfill_reads_its_days_only() -> None:
    clock = ManualClock(datetime(2026, 6, 18, 20, 0, tzinfo=UTC))
    async with source(lambda _: Answer(b"[]"), clock) as world:
        await world.poll(UsdaDrought, {"since": "2012-07-01", "until": "2012-09-30"}, SETTINGS)
    assert {a.query["startdate"] for a in world.asked} == {"7/1/2012"}
    assert {a.query["enddate"] for a in world.asked} == {"9/30/2012"}
