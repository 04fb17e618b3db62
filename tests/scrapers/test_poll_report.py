"""What a poll tells of its source: how long each answer took, and when it may be asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from emdata.clock import ManualClock
from emdata.contracts import Record, contract
from emdata.settings import load_settings
from scrapers.base import Cursor, Document, EmergencyDataScraper, Watermark
from scrapers.http import HttpClient
from scrapers.loop import PollConnector
from stream_manager.polls.poll import Tally
from tests.scrapers.raw_server import Exchange, client, raw_server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Pages(EmergencyDataScraper):
    """Asks for /0, /1, /2; a page without rows each."""

    name = "pages"
    emits = (contract("coagmet_stations"),)
    every = "1h"
    hosts = ("127.0.0.1",)
    rate = "1000/s"
    base = ""

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        for number in range(3):
            response = await self.http.get(f"{self.base}/{number}")
            yield Document.of(response, self.clock.now())

    def rows(self, document: Document) -> Iterable[msgspec.Raw]:
        return ()

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        return ()

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        return cursor


class Session:
    """As much of a session as these polls need."""

    def __init__(self) -> None:
        self.cursor: dict[str, Any] = {}
        self.tally = Tally()
        self.outcome = ""

    def document(self, size: int, raw_document: str | None = None) -> None:
        self.tally.documents += 1

    async def finish(self, outcome: str, **_how: Any) -> None:
        self.outcome = outcome


def pages(http: HttpClient, clock: ManualClock, base: str) -> PollConnector:
    scraper = Pages(http, load_settings({}, env_file=None), clock)
    scraper.base = base
    return PollConnector(scraper, None)


async def test_every_answer_is_timed_without_the_wait_for_our_own_limits() -> None:
    clock = ManualClock(NOW)
    took = [0.5, 12.0, 9.0]

    async def slow(exchange: Exchange) -> None:
        clock.advance(took[int(exchange.target[1:])])
        await exchange.answer(200, b"page")

    session = Session()
    async with raw_server(slow) as server, client(server.port, clock=clock) as http:
        connector = pages(http, clock, server.base)
        report = await connector.run_poll(session, {})  # type: ignore[arg-type]
    assert report.answers_s == (0.5, 12.0, 9.0)
    assert (session.outcome, report.retry_after_s) == ("ok", None)


async def test_a_source_that_wants_to_be_left_alone_says_for_how_long() -> None:
    clock = ManualClock(NOW)

    async def busy(exchange: Exchange) -> None:
        if exchange.target == "/0":
            await exchange.answer(200, b"page")
        else:
            await exchange.answer(429, headers=(("Retry-After", "700"),))

    session = Session()
    async with raw_server(busy) as server, client(server.port, clock=clock) as http:
        connector = pages(http, clock, server.base)
        report = await connector.run_poll(session, {})  # type: ignore[arg-type]
    assert session.outcome == "failed"
    assert len(report.answers_s) == 1
    assert report.retry_after_s == 700
