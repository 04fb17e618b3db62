"""NASA FIRMS, fires seen by MODIS and VIIRS: https://firms.modaps.eosdis.nasa.gov/api/area/.

Needs a MAP_KEY, which NASA sends by e-mail; the stream stays off without one. The key is a part of
the path, so it is kept out of every URL and error that leaves the HTTP client.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

import msgspec

from emdata.contracts.firms import FireDetection
from emdata.errors import PermanentError, RowError, SettingError, SourceThrottled
from emdata.settings import Settings
from scrapers import wire
from scrapers.base import (
    Cursor,
    Document,
    EmergencyDataScraper,
    Watermark,
    backfill_of,
)
from scrapers.columnar_csv import read_table
from scrapers.firms_columns import VERSIONS, pixel_columns
from scrapers.firms_fields import Layout, layout_of, record_of
from scrapers.prepared import PreparedRows, prepare

HOST = "firms.modaps.eosdis.nasa.gov"
BASE = f"https://{HOST}/api/area/csv"
LIVE = ("MODIS_NRT", "VIIRS_SNPP_NRT", "VIIRS_NOAA20_NRT", "VIIRS_NOAA21_NRT")
ARCHIVES = ("MODIS_SP", "VIIRS_SNPP_SP", "VIIRS_NOAA20_SP", "VIIRS_NOAA21_SP")
DAYS = 2
MAX_DAYS = 5
"""Days that one request may ask for; the server refuses more."""

LIMIT_WINDOW_S = 600.0
"""FIRMS counts the transactions of a key in stretches of ten minutes."""

_SIMULATED_KEY = "SIMULATED"
_FIRST_LINE = re.compile(rb"[^\r\n]*")


class FirmsFireDetections(EmergencyDataScraper):
    """Active fires of the last two days in the area of the settings, one request a satellite.

    Two days are read again at every poll, because pixels come late and better products replace
    the first ones; after an outage, as many as are missing, at most five.
    """

    name = "firms_fire_detections"
    emits = (FireDetection,)
    every, relook, rate = "15min", "2d", "20/min"
    hosts = (HOST,)

    @classmethod
    def off_because(cls, settings: Settings) -> str | None:
        """Say that the key is missing."""
        if settings.firms_map_key is None:
            return "no key: set EMDATA_FIRMS_MAP_KEY (free, by e-mail from NASA FIRMS)"
        return None

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield one document a product.

        A product that is refused does not keep the others back; its error comes after them.
        """
        key = self._key()
        self.http.hide(key)
        asked = list(self._asked(cursor))
        failure: PermanentError | None = None
        for index, (product, stretch) in enumerate(asked, start=1):
            url = f"{BASE}/{key}/{product}/{self.settings.firms_area}/{stretch}"
            try:
                answer = await self.http.get(url)
            except PermanentError as error:
                failure = failure or error
                continue
            self._refuse_complaint(answer.body)
            is_last = index == len(asked)
            document = Document.of(answer, self.clock.now(), kind=product, is_last=is_last)
            yield document
        if failure is not None:
            raise failure

    def _key(self) -> str:
        if self.http.is_simulated:
            return _SIMULATED_KEY
        if self.settings.firms_map_key is None:
            raise SettingError(
                "EMDATA_FIRMS_MAP_KEY", value="", allowed="the key that NASA FIRMS sent"
            )
        return self.settings.firms_map_key.get_secret_value()

    def _asked(self, cursor: Cursor) -> Iterator[tuple[str, str]]:
        """Products and stretches: the last days, or a backfill from archives and live products."""
        backfill = backfill_of(cursor)
        if backfill is None:
            last_days = str(self._days(cursor))
            yield from ((product, last_days) for product in LIVE)
            return
        since, until = backfill
        while since <= until:
            days_left = (until - since).days + 1
            days = min(days_left, DAYS if self.settings.firms_area == "world" else MAX_DAYS)
            for product in (*ARCHIVES, *LIVE):
                yield product, f"{days}/{since.isoformat()}"
            since += timedelta(days=days)

    def _days(self, cursor: Cursor) -> int:
        newest = cursor.get("acquired_at")
        if not isinstance(newest, str):
            first = date.fromisoformat(self.settings.history_since)
            return min(MAX_DAYS, max(DAYS, (self.clock.now().date() - first).days + 1))
        gap = self.clock.now() - datetime.fromisoformat(newest).replace(tzinfo=UTC)
        return min(MAX_DAYS, max(DAYS, math.ceil(gap / timedelta(days=1)) + 1))

    def _refuse_complaint(self, body: bytes) -> None:
        """Raise for one of the errors that FIRMS sends as text, with status 200 as well.

        While it throttles hard it calls a valid key invalid, so neither is a reason to give up.
        """
        text = body[:200].decode("ascii", "replace").strip().lower()
        if "transaction limit" in text:
            self.http.rest(HOST, LIMIT_WINDOW_S)
            raise SourceThrottled(
                f"{HOST}: the key's transactions of ten minutes are used up",
                retry_after=LIMIT_WINDOW_S,
            )
        if text.startswith("invalid map_key"):
            self.http.rest(HOST, LIMIT_WINDOW_S)
            raise SourceThrottled(
                f"{HOST}: calls the key invalid, as it does while it throttles; if this goes on, "
                "check EMDATA_FIRMS_MAP_KEY",
                retry_after=LIMIT_WINDOW_S,
            )

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut the CSV into its records."""
        body, _ = self.table(document)
        return wire.csv_rows(body)

    def table(self, document: Document) -> tuple[bytes, Layout]:
        """Return the CSV without its BOM, and what its header says.

        Raises DocumentError when it is no table of fire detections.
        """
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        header = _FIRST_LINE.match(body)
        return body, layout_of(header[0] if header else b"", what)

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[FireDetection]:
        """Turn one pixel into a record."""
        _, layout = self.table(document)
        if layout.fault is not None:
            raise RowError(layout.fault)
        return (record_of(bytes(raw), layout),)

    def prepare(self, document: Document) -> Iterator[PreparedRows] | None:
        """Turn all pixels into bytes for Kafka, column by column; None: go row by row.

        Says the same as ``rows`` and ``parse``.
        """
        body, layout = self.table(document)
        if layout.fault is not None:
            return None
        table = read_table(body, layout.names)
        sent = pixel_columns(table.frame, layout)
        parse = partial(record_of, layout=layout)
        return prepare(FireDetection, table, sent, VERSIONS, parse)

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Move to the newest pixel, which tells how long an outage was."""
        return seen.advance(cursor, "acquired_at", FireDetection.dataset.name)

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name columns that were added."""
        return self.table(document)[1].unknown
