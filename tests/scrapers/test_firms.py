"""NASA FIRMS: what is asked for, what its errors mean, and that the key stays inside."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.commits import Commit
from emdata.contracts.base import Priority
from emdata.contracts.firms import FireDetection, geo_cell
from emdata.errors import SettingError, SourceRefused, SourceThrottled
from emdata.settings import Settings, load_settings
from scrapers.base import Cursor, Document
from scrapers.http import HttpClient
from scrapers.loop import PollConnector
from scrapers.offline import document_of, idle, parse_rows
from scrapers.prepared import PreparedRows
from scrapers.sources.firms import ARCHIVES, LIVE, FirmsFireDetections
from stream_manager.control.priorities import PriorityPolicy
from tests.scrapers.serving import Answer, Asked, World, source
from tests.stream_manager.test_buffer_log import BrokenDisk
from tests.stream_manager.test_session import Harness

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "0123456789abcdef0123456789abcdef"
CSV = (("Content-Type", "text/csv"),)
HEADER = (
    b"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,"
    b"version,bright_ti5,frp,daynight\n"
)
ROW = b"39.76,-121.62,331.4,0.41,0.45,2026-11-21,659,N20,VIIRS,%s,%s,289.12,%s,N\n"
MODIS = HEADER.replace(b"bright_ti4", b"brightness").replace(b"bright_ti5", b"bright_t31")
OFFLINE = idle(FirmsFireDetections, load_settings({}, env_file=None))


def with_key(**environ: str) -> Settings:
    """Settings with a key."""
    return load_settings({"FIRMS_MAP_KEY": KEY, **environ}, env_file=None)


def records(confidence: str = "n", version: str = "2.0NRT", frp: str = "6.3") -> FireDetection:
    """The record of one row."""
    row = ROW % (confidence.encode(), version.encode(), frp.encode())
    (outcome,) = parse_rows(OFFLINE, document_of(HEADER + row, "x"))
    (record,) = outcome.records
    assert isinstance(record, FireDetection)
    return record


def fires(asked: Asked) -> Answer:
    """One fire in every product."""
    if "MODIS" in asked.path:
        return Answer(MODIS, headers=CSV)
    return Answer(HEADER + ROW % (b"n", b"2.0NRT", b"6.3"), headers=CSV)


def products(world: World) -> list[list[str]]:
    """Product, area and stretch of each request."""
    return [asked.path.split("/")[6:] for asked in world.asked]


async def test_every_product_is_asked_for_two_days_of_the_area() -> None:
    async with source(fires, ManualClock(NOW)) as world:
        cursor: Cursor = {"acquired_at": "2026-11-21T09:00:00.000000"}
        poll = await world.poll(FirmsFireDetections, cursor)
        assert products(world) == [[name, "-125,24,-66,50", "2"] for name in LIVE]
        assert poll.cursor == {"acquired_at": "2026-11-21T09:00:00.000000"}
        assert {document.kind for document in poll.documents} == set(LIVE)


@pytest.mark.parametrize(
    ("cursor", "days"),
    [({}, "5"), ({"acquired_at": "2026-11-19T13:00:00.000000"}, "3"),
     ({"acquired_at": "2026-10-01T00:00:00.000000"}, "5")],
)  # fmt: skip
async def test_after_an_outage_the_missing_days_are_read_as_far_as_allowed(
    cursor: Cursor, days: str
) -> None:
    async with source(fires, ManualClock(NOW)) as world:
        await world.poll(FirmsFireDetections, cursor)
        assert {asked[2] for asked in products(world)} == {days}


async def test_a_backfill_asks_archives_too_in_stretches_of_five_days() -> None:
    async with source(fires, ManualClock(NOW)) as world:
        await world.poll(FirmsFireDetections, {"since": "2026-03-01", "until": "2026-03-07"})
        asked = products(world)
        assert [one[2:] for one in asked[::8]] == [["5", "2026-03-01"], ["2", "2026-03-06"]]
        assert [one[0] for one in asked[:8]] == [*ARCHIVES, *LIVE]


async def test_the_key_is_sent_and_never_given_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(HttpClient, "is_simulated", False)
    caplog.set_level(logging.INFO)

    def answer(asked: Asked) -> Answer:
        if "MODIS" in asked.path:
            return Answer(b"", 400)
        if "SNPP" in asked.path:
            return Answer(b"", 503)
        return Answer(HEADER + KEY.encode() + b"\n", headers=CSV)

    async with source(answer, ManualClock(NOW)) as world:
        scraper = FirmsFireDetections(world.http, with_key(), world.clock)
        with pytest.raises(Exception, match="HTTP 503") as refused:
            async for _ in scraper.scrape_data({}):
                pass
        answered = await world.http.get(f"https://{FirmsFireDetections.hosts[0]}/{KEY}/NOAA")
    assert all(KEY in asked.path for asked in world.asked)
    assert answered.url.endswith("/REDACTED/NOAA")
    assert KEY.encode() not in answered.body
    shown = [str(refused.value), repr(refused.value), caplog.text]
    assert not any(KEY in text for text in shown)
    assert refused.value.__suppress_context__


async def test_a_product_that_is_refused_does_not_keep_the_others_back() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(b"Invalid source.", 400) if "SNPP" in asked.path else fires(asked)

    async with source(answer, ManualClock(NOW)) as world:
        scraper = FirmsFireDetections(world.http, with_key(), world.clock)
        kinds: list[str] = []

        async def read() -> None:
            async for document in scraper.scrape_data({}):
                kinds.append(document.kind)

        with pytest.raises(SourceRefused, match="VIIRS_SNPP_NRT"):
            await read()
    assert kinds == [name for name in LIVE if "SNPP" not in name]


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"Exceeding allowed transaction limit", "used up"),
     (b"Invalid MAP_KEY.", "check EMDATA_FIRMS_MAP_KEY")],
)  # fmt: skip
async def test_a_complaint_with_status_200_makes_the_host_rest(text: bytes, words: str) -> None:
    async with source(lambda _: Answer(text, headers=CSV), ManualClock(NOW)) as world:
        with pytest.raises(SourceThrottled, match=words) as raised:
            await world.poll(FirmsFireDetections)
        assert raised.value.retry_after == 600
        with pytest.raises(SourceThrottled, match="left alone for 600 s"):
            await world.poll(FirmsFireDetections)
        assert len(world.asked) == 1, "a host that rests is not asked"
        world.clock.advance(601)
        with pytest.raises(SourceThrottled, match=words):
            await world.poll(FirmsFireDetections)


def test_without_a_key_the_stream_is_off_and_says_what_to_do() -> None:
    reason = FirmsFireDetections.off_because(load_settings({}, env_file=None))
    assert reason is not None
    assert "EMDATA_FIRMS_MAP_KEY" in reason
    assert FirmsFireDetections.off_because(with_key()) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("FIRMS_MAP_KEY", "../../secret"), ("FIRMS_MAP_KEY", "short"),
     ("EMDATA_FIRMS_AREA", "1,2,3"), ("EMDATA_FIRMS_AREA", "10,0,5,20"),
     ("EMDATA_FIRMS_AREA", "a,b,c,d"), ("EMDATA_FIRMS_AREA", "nan,nan,nan,nan")],
)  # fmt: skip
def test_a_bad_setting_is_refused_and_a_bad_key_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name) as raised:
        load_settings({name: value}, env_file=None)
    assert name.endswith("AREA") or value not in str(raised.value)


def test_a_better_product_sorts_after_a_worse_one_of_the_same_pixel() -> None:
    ranked = [records(version=name) for name in ("2.0RT", "2.0URT", "2.0NRT", "2")]
    versions = [record.version_text() or "" for record in ranked]
    assert versions == sorted(set(versions))
    assert len({record.record_key() for record in ranked}) == 1
    assert [record.processing for record in ranked] == ["RT", "URT", "NRT", "SP"]


def test_the_kafka_key_is_the_cell_of_one_degree() -> None:
    assert records().kafka_key() == "geo_39_-122"
    assert geo_cell(-0.5, 0.0) == "geo_-1_0"


@pytest.mark.parametrize(
    ("confidence", "version", "frp", "priority"),
    [("h", "2.0NRT", "50", Priority.HIGH), ("h", "2.0RT", "49.99", Priority.NORMAL),
     ("h", "2.0NRT", "", Priority.NORMAL), ("n", "2.0NRT", "500", Priority.NORMAL),
     ("l", "2.0NRT", "500", Priority.LOW), ("h", "2", "500", Priority.LOW)],
)  # fmt: skip
def test_a_strong_and_certain_fire_is_urgent_doubt_and_archives_are_not(
    confidence: str, version: str, frp: str, priority: Priority
) -> None:
    assert records(confidence, version, frp).priority() is priority


class OneDocument(FirmsFireDetections):
    """Delivers one body."""

    body = b""

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield it."""
        yield replace(document_of(self.body, "x"), fetched_at=NOW)


class RowByRow(OneDocument):
    """The same without columns."""

    def prepare(self, document: Document) -> Iterator[PreparedRows] | None:
        """Refuse."""
        return None


BODY = (
    HEADER
    + b"".join(ROW.replace(b"39.76", b"%d.5" % n) % (b"n", b"2.0NRT", b"6.3") for n in range(9))
    + ROW % (b"maybe", b"2.0NRT", b"6.3")
    + ROW % (b"h", b"2.0NRT", b"75")
    + ROW % (b"h", b"2.0NRT", b"75")
)


async def poll(harness: Harness, kind: type[OneDocument], body: bytes = BODY) -> Commit:
    """Poll once through the loop."""
    scraper = idle(kind, load_settings({}, env_file=None))
    assert isinstance(scraper, OneDocument)
    scraper.body = body
    session = harness.session(batch_size=4, decide=PriorityPolicy().decide)
    await PollConnector(scraper, None).run_poll(session, {})
    assert session.commit is not None
    return session.commit


def counts(commit: Commit) -> dict[str, Any]:
    """All that a poll counted."""
    of = commit.datasets["nasa_firms_fire_detections"]
    names = ("records", "unchanged", "rejected", "deferred", "accepted", "newest_event_at")
    found = {name: getattr(of, name) for name in names}
    return {
        **found, "rows": commit.rows, "bad": commit.rows_rejected, "cursor": commit.cursor,
        "deads": [(dead.payload, dead.cause) for dead in commit.deads],
    }  # fmt: skip


@pytest.mark.integration
async def test_a_poll_by_columns_is_the_same_poll_as_one_by_rows(tmp_path: Path) -> None:
    found, sent = [], []
    for kind in (OneDocument, RowByRow):
        harness = Harness(tmp_path / kind.__name__)
        try:
            commit = await poll(harness, kind)
            again = await poll(harness, kind)
            found.append((commit.outcome, counts(commit), counts(again)))
            names = ("record_key", "record_version", "kafka_key", "content_hash", "priority",
                     "payload", "seq")  # fmt: skip
            sent.append([tuple(getattr(r, name) for name in names) for r in harness.records()])
        finally:
            harness.writer.stop()
            harness.log.close()
    assert found[0] == found[1]
    for columns, rows in zip(*sent, strict=True):
        assert columns == rows
    assert (found[0][1]["accepted"], found[0][1]["unchanged"], found[0][1]["bad"]) == (10, 1, 1)
    assert found[0][2]["unchanged"] == 11
    assert found[0][1]["deads"][0][0] == (ROW % (b"maybe", b"2.0NRT", b"6.3")).strip()
    assert found[0][1]["cursor"] == {"acquired_at": "2026-11-21T06:59:00.000000"}


async def test_a_full_disk_in_the_middle_of_columns_fails_the_poll_and_it_balances(
    tmp_path: Path,
) -> None:
    disk = BrokenDisk("", errno.ENOSPC)
    harness = Harness(tmp_path, disk)
    disk.call = "append"
    try:
        commit = await poll(harness, OneDocument)
        assert commit.outcome == "failed"
        assert commit.cursor is None
        assert commit.balances()
        again = await poll(harness, OneDocument)
        assert (again.outcome, counts(again)["accepted"]) == ("ok", 10)
    finally:
        harness.writer.stop()
        harness.log.close()
