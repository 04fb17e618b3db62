"""US Drought Monitor, statistics by county: https://droughtmonitor.unl.edu/DmData/DataDownload/WebServiceInfo.aspx.

A map is of Tuesday and comes out on Thursday. No key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec

from emdata.contracts.base import duration
from emdata.contracts.usda import CATEGORICAL, CUMULATIVE, DroughtCounty
from emdata.errors import DocumentError, RowError
from scrapers import values, wire
from scrapers.base import (
    Cursor,
    Document,
    EmergencyDataScraper,
    Watermark,
    backfill_of,
)
from scrapers.states import FIPS_OF_POSTAL

BASE = "https://usdmdataservices.unl.edu/api"
PRODUCT = "CountyStatistics/GetDroughtSeverityStatisticsByAreaPercent"
_ROUNDING = 0.25
"""Percent; six shares, each rounded to two decimals, add up to 100 within this."""

_LARGEST_AREA = 200_000.0
"""Square miles, more than any county has."""

_AHEAD = timedelta(days=8)
"""Beyond today, because the newest map may be dated ahead of our clock."""

_WITHOUT_COUNTIES = frozenset({"AS", "FM", "GU", "MH", "MP", "PW", "UM", "VI"})


class _Row(msgspec.Struct, rename="camel", frozen=True):
    """A row of the JSON; the CSV has the same names with a capital first letter."""

    map_date: str | int
    fips: str | int
    county: str | None
    state: str | None
    none: float | str
    d0: float | str
    d1: float | str
    d2: float | str
    d3: float | str
    d4: float | str
    valid_start: str
    valid_end: str
    statistic_format_id: int | str = msgspec.field(name="statisticFormatID")


_SHARES = ("none", "d0", "d1", "d2", "d3", "d4")
_KNOWN = wire.wire_names(_Row)


class UsdaDrought(EmergencyDataScraper):
    """Cumulative shares by county and week for the states of the settings, one request a state.

    Revisions are rare but happen, so four weeks are read again.
    """

    name = "usda_drought"
    emits = (DroughtCounty,)
    every, relook, rate = "6h", "28d", "1/s"
    hosts = ("usdmdataservices.unl.edu",)

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield one document a state, from four weeks before the newest map seen."""
        states, (since, until) = self._states(), self._stretch(cursor)
        for index, state in enumerate(states, start=1):
            answer = await self.http.get(
                f"{BASE}/{PRODUCT}",
                params={
                    "aoi": state,
                    "startdate": _query_date(since),
                    "enddate": _query_date(until),
                    "statisticsType": str(CUMULATIVE),
                },
                headers={"accept": "application/json"},
            )
            notes: Cursor = {"scope": ",".join(states)}
            yield Document.of(answer, self.clock.now(), is_last=index == len(states), notes=notes)

    def _states(self) -> list[str]:
        if "ALL" in self.settings.states:
            return sorted(FIPS_OF_POSTAL.keys() - _WITHOUT_COUNTIES)
        return sorted(set(self.settings.states))

    def _stretch(self, cursor: Cursor) -> tuple[date, date]:
        backfill, newest = backfill_of(cursor), cursor.get("valid_on")
        if backfill is not None:
            return backfill
        first, today = date.fromisoformat(self.settings.history_since), self.clock.now().date()
        if not isinstance(newest, str):
            return first, today + _AHEAD
        known = date.fromisoformat(newest)
        is_same_scope = cursor.get("scope") == ",".join(self._states())
        since = known - duration(self.relook) if is_same_scope else first
        return since, max(today, known) + _AHEAD

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut the JSON list, or the CSV (with BOM and CRLF at times), into rows."""
        if document.not_modified:
            return []
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        if body.startswith(b"["):
            rows = wire.array(body, what=what)
            if rows and not wire.keys(rows[0]) & {*_SHARES, "mapDate", "fips"}:
                raise DocumentError(f"{what}: rows of another kind: {wire.shown(body)}")
            return rows
        if body.startswith(b"{"):
            raise DocumentError(f"{what}: an object instead of a list: {wire.shown(body)}")
        if not {"d0", "mapDate"} & set(_names(document.body)):
            raise DocumentError(f"{what}: neither JSON nor CSV of statistics: {wire.shown(body)}")
        return wire.csv_rows(body)

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[DroughtCounty]:
        """Turn one county's week into a record; areas become shares of the county's area."""
        if wire.is_json(document.body):
            row = wire.decode(raw, _Row)
        else:
            texts = wire.csv_mapping(_names(document.body), raw)
            row = wire.convert({k: v or None for k, v in texts.items()}, _Row)
        kind = _statistics_type(row.statistic_format_id)
        shares = _shares(row, kind, document.url)
        return (
            DroughtCounty(
                county_fips=_fips(row.fips),
                valid_on=_map_date(row.map_date, "mapDate"),
                statistics_type=kind,
                county=values.clean(row.county, "county", max_length=256),
                state=values.clean(row.state, "state", max_length=256),
                valid_from=_map_date(row.valid_start, "validStart"),
                valid_to=_map_date(row.valid_end, "validEnd"),
                **{f"{name}_percent": share for name, share in shares.items()},
            ),
        )

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Move to the newest map date."""
        moved = seen.advance(cursor, "valid_on", DroughtCounty.dataset.name)
        return {**moved, **seen.notes}

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name fields that were added."""
        rows = self.rows(document)
        if not rows:
            return frozenset()
        if wire.is_json(document.body):
            return wire.keys(rows[0]) - _KNOWN
        return frozenset(_names(document.body)) - _KNOWN


def _query_date(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year}"


def _names(body: bytes) -> tuple[str, ...]:
    """The CSV's column names in the JSON's spelling."""
    special = {"FIPS": "fips"}
    return tuple(special.get(n, n[:1].lower() + n[1:]) for n in wire.csv_header(body))


def _statistics_type(value: int | str) -> int:
    number = values.number(value, "statisticFormatID")
    if number not in (CUMULATIVE, CATEGORICAL):
        raise RowError(
            f"statisticFormatID: {values.shown(str(value))}; allowed: 1 cumulative, 2 categorical"
        )
    return int(number)


def _shares(row: _Row, kind: int, url: str) -> dict[str, float]:
    """The six numbers as percent of the county's area.

    Raises RowError when they cannot be what they are called: negative, cumulative numbers that
    rise towards the worse class, or percentages that do not add up.
    """
    found = {name: _amount(getattr(row, name), name) for name in _SHARES}
    total = found["none"] + found["d0"] if kind == CUMULATIVE else sum(found.values())
    classes = [found[name] for name in _SHARES[1:]]
    if kind == CUMULATIVE and any(
        worse > milder + _ROUNDING for milder, worse in pairwise(classes)
    ):
        raise RowError("d0 to d4 rise, and cumulative shares cannot")
    if abs(total - 100.0) <= _ROUNDING:
        return found
    if "Percent" in url or total <= 0:
        raise RowError(f"shares add up to {total:g}, not to 100")
    if "ByPopulation" in url:
        raise RowError("shares of the population; the dataset holds those of the area")
    return {name: round(100.0 * value / total, 4) for name, value in found.items()}


def _amount(value: Any, name: str) -> float:
    number = values.number(value, name, thousands=True)
    if number is None or not 0 <= number <= _LARGEST_AREA:
        raise RowError(f"{name}: {values.shown(str(value))}; allowed: 0 to {_LARGEST_AREA:g}")
    return number


def _fips(value: str | int) -> str:
    """Five digits; a number, or a text from a spreadsheet, has lost its leading zero."""
    text = str(value).strip()
    if not (4 <= len(text) <= 5 and text.isascii() and text.isdecimal()):
        raise RowError(f"fips: {values.shown(text)} is not five digits")
    return text.zfill(5)


def _map_date(value: str | int, field: str) -> date:
    """A date as ``20260915``, ``2026-09-15`` or ``2026-09-15T00:00:00``; never shifted."""
    text = str(value).strip()
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).date()
    except ValueError:
        raise RowError(f"{field}: {values.shown(text)} is no date") from None
