"""FEMA: probing, paging, the watermark, and what its rows mean."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from emdata.contracts.fema import DisasterDeclaration
from emdata.errors import DocumentError
from emdata.settings import load_settings
from scrapers.base import Cursor
from scrapers.offline import document_of, idle, parse_rows
from scrapers.sources.fema import FemaDisasterDeclarations
from tests.scrapers.serving import Answer, Asked, source

FIXTURES = Path(__file__).parents[1] / "fixtures" / "fema"
SETTINGS = load_settings({"STATES": "CO,WY", "HISTORY_SINCE": "2025-03-04"}, env_file=None)
ROW: dict[str, Any] = json.loads((FIXTURES / "one_row.json").read_bytes())


class OpenFema:
    """A small OpenFEMA whose rows a test may change."""

    def __init__(self, count: int) -> None:
        self.refreshed = "2026-07-01T00:00:00.000Z"
        self.rows = [
            {**ROW, "placeCode": str(n), "id": f"id-{n}", "lastRefresh": "2026-07-01T00:00:00.000Z"}
            for n in range(count)
        ]
        self.granted: int | None = None

    def answer(self, asked: Asked) -> Answer:
        """Answer the probe or one page."""
        if asked.path.endswith("/v1/OpenFemaDataSets"):
            versions = [
                {"name": "DisasterDeclarationsSummaries", "version": 1, "lastDataSetRefresh": "x"},
                {
                    "name": "DisasterDeclarationsSummaries",
                    "version": 2,
                    "lastDataSetRefresh": self.refreshed,
                },
            ]
            return Answer(json.dumps({"metadata": {}, "OpenFemaDataSets": versions}).encode())
        skip, top = int(asked.query["$skip"]), int(asked.query["$top"])
        top = min(top, self.granted or top)
        page = self.rows[skip : skip + top]
        return Answer(json.dumps({"metadata": {"top": top}, "AnyName": page}).encode())


def _clock() -> ManualClock:
    return ManualClock(datetime(2026, 7, 3, 12, 0, tzinfo=UTC))


async def test_the_first_poll_pulls_everything_within_the_bounds() -> None:
    fema = OpenFema(7)
    async with source(fema.answer, _clock()) as world:
        poll = await world.poll(FemaDisasterDeclarations, settings=SETTINGS, page_size=3)
    assert len(poll.records) == 7
    assert [d.complete for d in poll.documents] == [False, False, False, True]
    pages = world.asked[1:]
    assert [p.query["$skip"] for p in pages] == ["0", "3", "6"]
    assert {p.query["$orderby"] for p in pages} == {"id"}
    assert {p.query["$filter"] for p in pages} == {
        "declarationDate ge '2025-03-04T00:00:00.000z' and state in ('CO','WY')"
    }
    assert poll.cursor["refreshed_at"] == "2026-07-01T00:00:00.000000"


async def test_nothing_is_fetched_while_the_data_set_was_not_refreshed() -> None:
    fema = OpenFema(2)
    async with source(fema.answer, _clock()) as world:
        first = await world.poll(FemaDisasterDeclarations)
        world.asked.clear()
        second = await world.poll(FemaDisasterDeclarations, first.cursor)
        assert [a.path for a in world.asked] == ["/www.fema.gov/api/open/v1/OpenFemaDataSets"]
    assert second.records == []
    assert second.cursor == first.cursor


async def test_fault_24_a_refresh_is_read_from_the_watermark_less_the_overlap() -> None:
    fema = OpenFema(2)
    async with source(fema.answer, _clock()) as world:
        first = await world.poll(FemaDisasterDeclarations, settings=SETTINGS)
        fema.refreshed = "2026-07-03T00:00:00.000Z"
        fema.rows[0]["lastRefresh"] = "2026-07-03T00:00:00.250Z"
        world.asked.clear()
        second = await world.poll(FemaDisasterDeclarations, first.cursor, SETTINGS)
        page = world.asked[1]
    # Rows with the watermark's own stamp come again: ge, and a day of overlap.
    assert page.query["$filter"].startswith("lastRefresh ge '2026-06-30T00:00:00.000z' and ")
    assert page.query["$orderby"] == "lastRefresh,id"
    assert not second.documents[-1].complete, "an excerpt proves nothing about what is missing"
    assert second.cursor["refreshed_at"] == "2026-07-03T00:00:00.250000"


async def test_everything_is_pulled_again_after_a_day_and_when_the_bounds_change() -> None:
    fema = OpenFema(2)
    async with source(fema.answer, _clock()) as world:
        first = await world.poll(FemaDisasterDeclarations)
        changed = await world.poll(FemaDisasterDeclarations, first.cursor, SETTINGS)
        assert changed.documents[-1].complete
        world.clock.advance(23 * 3600)
        assert not (await world.poll(FemaDisasterDeclarations, first.cursor)).documents[-1].complete
        world.clock.advance(3600)
        assert (await world.poll(FemaDisasterDeclarations, first.cursor)).documents[-1].complete


async def test_a_smaller_page_than_asked_for_is_not_the_last_when_the_source_says_so() -> None:
    fema = OpenFema(5)
    fema.granted = 2
    async with source(fema.answer, _clock()) as world:
        poll = await world.poll(FemaDisasterDeclarations, page_size=100)
    assert len(poll.records) == 5


async def test_paging_that_does_not_move_is_an_error_and_not_a_loop() -> None:
    fema = OpenFema(3)

    def stuck(asked: Asked) -> Answer:
        return fema.answer(Asked(asked.path, {**asked.query, "$skip": "0"}, asked.headers))

    async with source(stuck, _clock()) as world:
        with pytest.raises(DocumentError, match="the same page again"):
            await world.poll(FemaDisasterDeclarations, page_size=3)


async def test_fault_24_a_stamp_in_the_future_does_not_run_away_with_the_watermark() -> None:
    fema = OpenFema(1)
    fema.rows[0]["lastRefresh"] = "2027-01-01T00:00:00.000Z"
    async with source(fema.answer, _clock()) as world:
        poll = await world.poll(FemaDisasterDeclarations)
    assert poll.cursor["refreshed_at"] == "2026-07-03T12:00:00.000000"


def _parsed(name: str, body: bytes | None = None) -> list[DisasterDeclaration]:
    scraper = idle(FemaDisasterDeclarations, SETTINGS)
    document = document_of((FIXTURES / name).read_bytes() if body is None else body, name)
    found = []
    for row in parse_rows(scraper, document):
        assert row.rejected is None, row.rejected
        found += [r for r in row.records if isinstance(r, DisasterDeclaration)]
    return found


@pytest.mark.parametrize("name", ["bare_array.json", "lines.jsonl", "rows.csv"])
def test_every_format_of_openfema_gives_the_same_records(name: str) -> None:
    expected = {r.record_key(): r for r in _parsed("page.json")}
    found = _parsed(name)
    assert found
    assert all(record == expected[record.record_key()] for record in found)


def test_dates_are_calendar_dates_and_codes_keep_their_zeros() -> None:
    county, statewide, *_ = _parsed("page.json")
    assert county.declared_on == date(2026, 6, 18)
    assert (county.state_fips, county.county_fips_part, county.county_fips) == (
        "08",
        "013",
        "08013",
    )
    assert statewide.county_fips is None
    assert statewide.place_code == "0"


def test_numbers_for_fips_codes_and_text_for_the_disaster_number_are_understood() -> None:
    row = {**ROW, "fipsStateCode": 8, "fipsCountyCode": 13, "disasterNumber": "4901"}
    (record,) = _parsed("x", json.dumps(row).encode())
    assert (record.county_fips, record.disaster_number) == ("08013", 4901)


def test_a_reload_that_only_bumps_lastrefresh_changes_no_content() -> None:
    before, after = (
        _parsed("x", json.dumps({**ROW, **change}).encode())[0]
        for change in ({}, {"lastRefresh": "2026-09-09T09:09:09.999Z", "id": "new", "hash": "b"})
    )
    assert before.content_hash() == after.content_hash()
    assert before.version_text() != after.version_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Priority.HIGH),
        ({"ihProgramDeclared": False, "iaProgramDeclared": True}, Priority.HIGH),
        ({"ihProgramDeclared": False}, Priority.NORMAL),
        ({"disasterCloseoutDate": "2026-08-01T00:00:00.000Z"}, Priority.LOW),
        ({"fyDeclared": 2023}, Priority.LOW),
        ({"fyDeclared": 2024}, Priority.HIGH),
        ({"declarationType": "EM", "incidentEndDate": None}, Priority.HIGH),
        ({"declarationType": "EM"}, Priority.NORMAL),
        ({"declarationType": "FM", "ihProgramDeclared": False}, Priority.NORMAL),
        ({"declarationType": "FS", "ihProgramDeclared": False}, Priority.LOW),
    ],
)
def test_a_back_fill_pages_nobody_and_a_new_disaster_is_urgent(
    change: dict[str, Any], expected: Priority
) -> None:
    (record,) = _parsed("x", json.dumps({**ROW, **change}).encode())
    assert record.priority() is expected


def test_a_later_column_may_be_missing_in_an_old_answer_only() -> None:
    row = {k: v for k, v in ROW.items() if k != "region"}
    assert _parsed("x", json.dumps({**row, "lastRefresh": "2022-01-01T00:00:00Z"}).encode())
    scraper = idle(FemaDisasterDeclarations, SETTINGS)
    (outcome,) = parse_rows(scraper, document_of(json.dumps(row).encode(), "x"))
    assert "`region` is missing" in str(outcome.rejected)


def test_a_selection_of_columns_is_rejected_with_the_names_of_what_is_missing() -> None:
    body = b'{"disasterNumber":4026,"state":"NH"}\n{"disasterNumber":5464,"state":"RI"}'
    outcomes = list(parse_rows(idle(FemaDisasterDeclarations, SETTINGS), document_of(body, "x")))
    assert [row.outcome for row in outcomes] == ["rejected", "rejected"]
    assert "placeCode" in str(outcomes[0].rejected)


def test_a_notice_of_deprecation_reaches_the_operator() -> None:
    page = json.loads((FIXTURES / "page.json").read_bytes())
    scraper = idle(FemaDisasterDeclarations, SETTINGS)
    assert scraper.warnings(document_of(json.dumps(page).encode(), "x")) == ()
    page["metadata"]["DeprecationInformation"]["depDate"] = "2027-01-01T00:00:00.000Z"
    (warning,) = scraper.warnings(document_of(json.dumps(page).encode(), "x"))
    assert "2027-01-01" in warning


async def test_fault_27_a_probe_without_our_version_is_an_error() -> None:
    def other(asked: Asked) -> Answer:
        return Answer(b'{"OpenFemaDataSets":[]}')

    cursor: Cursor = {}
    async with source(other, _clock()) as world:
        with pytest.raises(DocumentError, match="names no version 2"):
            await world.poll(FemaDisasterDeclarations, cursor)


async def test_a_backfill_reads_its_days_only_and_proves_nothing_about_missing_keys() -> None:
    fema = OpenFema(2)
    days: Cursor = {"refreshed_at": "x", "since": "1996-01-01", "until": "1996-12-31"}
    async with source(fema.answer, _clock()) as world:
        poll = await world.poll(FemaDisasterDeclarations, days, SETTINGS)
    assert [a.query["$filter"] for a in world.asked] == [
        "declarationDate ge '1996-01-01T00:00:00.000z' and "
        "declarationDate lt '1997-01-01T00:00:00.000z' and state in ('CO','WY')"
    ]
    assert not any(document.complete for document in poll.documents)
