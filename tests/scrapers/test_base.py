"""The watermark, the documents, and finding sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import scrapers.sources
from emdata.contracts.coagmet import HourlyObservation
from emdata.contracts.fema import DisasterDeclaration
from emdata.errors import ContractError
from scrapers.base import Document, Ignored, Watermark, find_scrapers
from scrapers.offline import scrapers_for

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _document(**changes: Any) -> Document:
    fields: dict[str, Any] = {
        "url": "x", "fetched_at": AT, "status": 200, "content_type": "", "body": b"",
    }  # fmt: skip
    return Document(**{**fields, **changes})


def _declaration(refreshed_at: datetime) -> DisasterDeclaration:
    return DisasterDeclaration(disaster_number=1, place_code="0", refreshed_at=refreshed_at)


def test_the_watermark_is_the_newest_stamp_of_parsed_records() -> None:
    seen = Watermark()
    seen.add_document(_document())
    assert seen.newest("fema_disaster_declarations") is None
    for hour in (9, 11, 10):
        seen.add(_declaration(AT.replace(hour=hour)))
    assert seen.newest("fema_disaster_declarations") == "2026-11-21T11:00:00.000000"
    assert seen.newest("another") is None


def test_the_event_time_serves_where_a_dataset_has_no_version() -> None:
    seen = Watermark()
    seen.add(HourlyObservation(station_id="a", observed_at=AT))
    assert seen.newest("coagmet_hourly_observations") == "2026-11-21T12:00:00.000000"


def test_fault_21_a_stamp_ahead_of_the_source_is_clamped_to_the_source_s_own_clock() -> None:
    seen = Watermark()
    seen.add_document(_document(headers={"date": "Sat, 21 Nov 2026 11:30:00 GMT"}))
    seen.add(_declaration(AT.replace(year=2030)))
    assert seen.newest("fema_disaster_declarations") == "2026-11-21T11:30:00.000000"


@pytest.mark.parametrize("date", ["nonsense", "", "x" * 10_000])
def test_a_date_header_that_is_none_leaves_our_own_clock(date: str) -> None:
    assert _document(headers={"date": date}).served_at == AT


def test_a_cursor_never_moves_back() -> None:
    seen = Watermark()
    seen.add(_declaration(AT))
    cursor = seen.advance(
        {"w": "2027-01-01T00:00:00.000000", "k": 1}, "w", "fema_disaster_declarations"
    )
    assert cursor == {"w": "2027-01-01T00:00:00.000000", "k": 1}
    moved = seen.advance({"w": None}, "w", "fema_disaster_declarations")
    assert moved == {"w": "2026-11-21T12:00:00.000000"}


def test_notes_of_all_documents_come_together() -> None:
    seen = Watermark()
    seen.add_document(_document(notes={"etag": "a", "page": 1}))
    seen.add_document(_document(notes={"page": 2}))
    assert seen.notes == {"etag": "a", "page": 2}


def test_an_ignored_row_is_empty_and_says_why() -> None:
    ignored = Ignored("another product")
    assert not ignored
    assert list(ignored) == []
    assert ignored.reason == "another product"


def test_sources_are_found_by_being_there() -> None:
    found = find_scrapers()
    assert list(found) == sorted(found)
    assert {"fema", "nws", "coagmet_stations", "coagmet_hourly", "usda_drought"} <= set(found)
    assert all(scraper.name == name for name, scraper in found.items())


def test_two_sources_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fema = find_scrapers()["fema"]
    twin = type("Twin", (fema,), {"__module__": "scrapers.sources.nws"})
    monkeypatch.setattr("scrapers.sources.nws.Twin", twin, raising=False)
    with pytest.raises(ContractError, match="a stream name of its own"):
        find_scrapers()
    assert scrapers.sources.__path__


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("fema", {"fema"}),
        ("fema_disaster_declarations", {"fema"}),
        ("nws", {"nws"}),
        ("nws_alert_zones", {"nws"}),
        ("coagmet", {"coagmet_hourly", "coagmet_stations"}),
        ("coagmet_hourly", {"coagmet_hourly"}),
        ("coagmet_hourly_observations", {"coagmet_hourly"}),
        ("usda", {"usda_drought"}),
        ("usdm", {"usda_drought"}),
        ("usda_drought_counties", {"usda_drought"}),
    ],
)
def test_a_source_is_found_by_stream_source_or_dataset(word: str, names: set[str]) -> None:
    assert set(scrapers_for(word)) == names


def test_an_unknown_source_is_told_what_there_is() -> None:
    with pytest.raises(ContractError, match="usda_drought"):
        scrapers_for("nosuch")
