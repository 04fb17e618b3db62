"""A scripted source: answers by path, seen by a scraper through the real HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from emdata.clock import ManualClock
from emdata.contracts.base import Record
from emdata.settings import Settings, load_settings
from scrapers.base import Cursor, Document, EmergencyDataScraper, Watermark
from scrapers.http import HttpClient
from scrapers.offline import parse_rows
from tests.scrapers.raw_server import Exchange, client, raw_server


@dataclass(frozen=True)
class Asked:
    """One request as a source sees it."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What the source answers."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass
class Poll:
    """What one poll brought."""

    documents: list[Document]
    records: list[Record]
    cursor: Cursor


@dataclass
class World:
    """A running scripted source."""

    http: HttpClient
    clock: ManualClock
    asked: list[Asked]

    async def poll(
        self,
        kind: type[EmergencyDataScraper],
        cursor: Cursor | None = None,
        settings: Settings | None = None,
        **attributes: Any,
    ) -> Poll:
        """Run one complete poll as the loop does."""
        quick = type(kind.__name__, (kind,), {"rate": "1000/s"})
        scraper = quick(self.http, settings or load_settings({}, env_file=None), self.clock)
        for name, value in attributes.items():
            setattr(scraper, name, value)
        seen, documents, records = Watermark(), [], []
        async for document in scraper.scrape_data(dict(cursor or {})):
            seen.add_document(document)
            documents.append(document)
            for row in parse_rows(scraper, document):
                assert row.rejected is None, row.rejected
                for record in row.records:
                    seen.add(record)
                    records.append(record)
        assert [d.is_last for d in documents] == [False] * (len(documents) - 1) + [True]
        return Poll(documents, records, scraper.next_cursor(dict(cursor or {}), seen))


@asynccontextmanager
async def source(answer: Callable[[Asked], Answer], clock: ManualClock) -> AsyncIterator[World]:
    """Serve ``answer`` for every host, the way the simulator does."""
    asked: list[Asked] = []

    async def handle(exchange: Exchange) -> None:
        parts = urlsplit(exchange.target)
        request = Asked(parts.path, dict(parse_qsl(parts.query)), exchange.headers)
        asked.append(request)
        found = answer(request)
        if found.status == 304:
            await exchange.send(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")
        else:
            await exchange.answer(found.status, found.body, found.headers)

    async with raw_server(handle) as server:
        http = client(clock=clock, simulator_base=server.base)
        async with http:
            yield World(http, clock, asked)
