"""CoAgMet stations and hourly observations: https://coagmet.colostate.edu/data/doc.html. No key.

Units, zone and date format are always asked for, and the answer's own header is believed: what
says ``us`` and ``mst`` is converted. A label of hourly data is the end of the hour.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from emdata.contracts.base import Record
from emdata.contracts.coagmet import HourlyObservation, Station
from emdata.errors import DocumentError, RowError
from scrapers import values, wire
from scrapers.base import (
    Cursor,
    Document,
    EmergencyDataScraper,
    Ignored,
    Watermark,
    backfill_of,
)
from scrapers.coagmet_fields import (
    BY_WIRE,
    FIELDS,
    LABELS,
    NAMES,
    UNUSED,
    converters_of,
    measured,
    present,
)
from scrapers.columnar import cut_rows, read_columns
from scrapers.station_time import network_zone, station_instant
from scrapers.units import FEET, Convert, converter

BASE = "https://coagmet.colostate.edu/data"
FIRST_DAYS = 7
"""A first pull reads this many days; the years before come by backfill."""

MAX_DAYS = 60
BACKFILL_DAYS = 30
"""Days of one answer of a backfill, so that it stays far below the cap on a body."""

_EXPLICIT = {"units": "m", "tz": "utc", "dateFmt": "iso", "header": "yes"}


class _StationRow(msgspec.Struct, frozen=True, rename="camel"):
    station: str
    name: str | None
    location: str | None
    lat: float | str | None
    lon: float | str | None
    elevation: float | str | None
    anemometer_height: float | str | None
    active: str | bool | None
    irrigation: str | None
    first_obs: str | None
    last_obs: str | None
    timestep: int | str | None
    network: str | None


class CoagmetStations(EmergencyDataScraper):
    """Every station of the network, once in six hours; one answer lists them all."""

    name = "coagmet_stations"
    emits = (Station,)
    every, relook, rate = "6h", "0s", "12/min"
    hosts = ("coagmet.colostate.edu",)
    rows_are_whole = True
    row_type = _StationRow

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield the one document of all stations."""
        etag = cursor.get("etag")
        answer = await self.http.get(
            f"{BASE}/metadata.json", etag=etag if isinstance(etag, str) else None
        )
        notes: Cursor = {} if answer.not_modified else {"etag": answer.etag}
        yield Document.of(answer, self.clock.now(), complete=not answer.not_modified, notes=notes)

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut the object of stations by id (or a list of them) into stations."""
        if document.not_modified:
            return []
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        if body.startswith(b"["):
            rows = wire.array(body, what=what)
        else:
            rows = list(wire.envelope(body, what=what).values())
        if rows and not {"lat", "lon", "elevation", "network"} & wire.keys(rows[0]):
            raise DocumentError(f"{what}: not a list of stations: {wire.shown(body)}")
        return rows

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Station]:
        """Turn one station into a record; feet become meters."""
        row = wire.decode(raw, _StationRow)
        height = _meters(row.anemometer_height, "anemometerHeight", 0.0, 100.0)
        elevation = _meters(row.elevation, "elevation", -200.0, 5000.0)
        return (
            Station(
                station_id=_station_id(row.station),
                network=_text(row.network, "network"),
                name=_text(row.name, "name"),
                location=_text(row.location, "location"),
                latitude=_bounded(present(row.lat, "lat"), "lat", 90.0),
                longitude=_bounded(present(row.lon, "lon"), "lon", 180.0),
                elevation_m=elevation,
                # 0.0 stands for unknown: no anemometer lies on the ground.
                anemometer_height_m=height or None,
                is_active=_active(row.active),
                irrigation=_text(row.irrigation, "irrigation"),
                first_observed_at=_seen_at(row.first_obs),
                last_observed_at=_seen_at(row.last_obs),
                timestep_seconds=_whole(row.timestep, "timestep"),
            ),
        )

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Keep the ETag; every poll reads all stations."""
        return {**cursor, **seen.notes}


class CoagmetHourly(EmergencyDataScraper):
    """Hourly observations of all active stations, in one call a poll.

    Every poll reads two days again, because quality control revises them; after an outage, as many
    days as are missing. One unknown id fails the whole call, so ids come from the metadata.
    """

    name = "coagmet_hourly"
    emits = (HourlyObservation,)
    every, relook, rate = "10min", "48h", "12/min"
    hosts = ("coagmet.colostate.edu",)

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield the metadata, whose ids are asked for, then the observations."""
        answer = await self.http.get(f"{BASE}/metadata.json")
        listed = Document.of(answer, self.clock.now(), kind="stations", is_last=False)
        ids = _active_ids(listed)
        yield listed
        params = {
            **_EXPLICIT,
            "fields": ",".join(field.wire for field in FIELDS),
            "stations": ",".join(ids),
        }
        stretches = self._stretches(cursor)
        for index, stretch in enumerate(stretches, start=1):
            answer = await self.http.get(f"{BASE}/hourly.json", params={**params, **stretch})
            is_last = index == len(stretches)
            yield Document.of(answer, self.clock.now(), kind="hourly", is_last=is_last)

    def _stretches(self, cursor: Cursor) -> list[dict[str, str]]:
        """What to ask for: the days up to now, or a backfill month by month."""
        backfill = backfill_of(cursor)
        if backfill is None:
            return [{"span": str(self._days(cursor))}]
        since, until = backfill
        found = []
        while since <= until:
            last = min(until, since + timedelta(days=BACKFILL_DAYS - 1))
            found.append({"from": f"{since}T00:00", "to": f"{last}T23:59"})
            since = last + timedelta(days=1)
        return found

    def _days(self, cursor: Cursor) -> int:
        newest, now = cursor.get("observed_at"), self.clock.now()
        if isinstance(newest, str):
            gap = now - datetime.fromisoformat(newest).replace(tzinfo=UTC)
            days = 2 + max(0, math.ceil((gap - timedelta(hours=12)) / timedelta(days=1)))
        else:
            since = datetime.fromisoformat(self.settings.history_since).replace(tzinfo=UTC)
            days = min(FIRST_DAYS, max(2, (now - since).days))
        return min(days, MAX_DAYS)

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut columns into one row per station and hour, or CSV into its records."""
        if document.kind == "stations" or document.not_modified:
            return []
        body = _body(document)
        if wire.is_json(body):
            return cut_rows(read_columns(document.body, document.url, NAMES))
        table = _table(document.body, document.url)
        return wire.csv_rows(body)[table.extra_headers :]

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        """Turn one station's hour into a record; -999 and empty are null."""
        if wire.is_json(document.body):
            return self._parse_json(raw, document)
        table = _table(document.body, document.url)
        fields = wire.csv_fields(raw)
        if len(fields) != len(table.columns):
            raise RowError(f"CSV row has {len(fields)} fields; the header {len(table.columns)}")
        row = dict(zip(table.columns, fields, strict=True))
        return (_observation(row["station"], row["time"], row, table.zone, table.converters),)

    def _parse_json(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        columns = read_columns(document.body, document.url, NAMES)
        header = columns.header
        row = wire.decode(raw, dict[str, Any])
        if "broken" in row:
            raise RowError(f"station {values.shown(str(row['station']))}: {row['broken']}")
        if header.frequency not in (None, "hourly") or header.timestep not in (None, 3600):
            said = header.frequency or f"{header.timestep} s"
            return Ignored(f"product {said[:20]}: only hourly observations are kept")
        fault = _drift(columns.names, document.url)
        if fault is not None:
            raise RowError(fault)
        zone = network_zone(header.timezone, header.tz_offset)
        return (_observation(row["station"], row["time"], row, zone, converters_of(header.units)),)

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Move to the newest hour that was observed."""
        return seen.advance(cursor, "observed_at", HourlyObservation.dataset.name)

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name columns that the network added."""
        if document.kind == "stations" or not wire.is_json(document.body):
            return frozenset()
        columns = read_columns(document.body, document.url, NAMES)
        if columns.header.frequency not in (None, "hourly"):
            return frozenset()
        return columns.names - BY_WIRE.keys() - UNUSED


@dataclass(frozen=True, slots=True)
class _Table:
    columns: tuple[str, ...]
    converters: Mapping[str, Convert]
    zone: tzinfo
    extra_headers: int


def _body(document: Document) -> bytes:
    return wire.body_of(document.body, what=document.url, content_type=document.content_type)


@lru_cache(maxsize=4)
def _table(body: bytes, url: str) -> _Table:
    """Read a CSV's header rows: names, and with ``header=yes`` a second row of units."""
    text = wire.body_of(body, what=url)
    labels = [label.strip().lower() for label in wire.csv_header(text)]
    if len(labels) < 3 or labels[0] not in ("station", "station id", "stn"):
        raise DocumentError(f"{url}: neither JSON nor CSV of the network: {wire.shown(text)}")
    asked = {k: v[-1] for k, v in parse_qs(urlsplit(url).query).items()}
    names = asked["fields"].split(",") if "fields" in asked else None
    if names is None:
        unknown = [label for label in labels[2:] if label not in LABELS]
        if unknown:
            raise DocumentError(f"{url}: column {unknown[0]!r} is unknown; say its `fields`")
        names = [LABELS[label] for label in labels[2:]]
    if len(names) != len(labels) - 2:
        raise DocumentError(f"{url}: {len(labels) - 2} columns for {len(names)} `fields`")
    found = wire.csv_rows(text)
    first = wire.csv_fields(found[0]) if found else []
    has_units = bool(first) and len(first) == len(labels) and not first[0].strip()
    if has_units:
        spelled = dict(zip(names, first[2:], strict=True))
        converters = {
            name: converter(BY_WIRE[name].quantity, unit, where=f"{url}: {name}")
            for name, unit in spelled.items()
            if name in BY_WIRE
        }
    else:
        converters = dict(converters_of(asked.get("units", "us")))
    zone = network_zone(asked.get("tz", "mst"), None)
    return _Table(("station", "time", *names), converters, zone, int(has_units))


@lru_cache(maxsize=4)
def _drift(names: frozenset[str], url: str) -> str | None:
    """What is wrong with the columns of a whole document, if anything.

    A field that was asked for must come from some station at least; which stations lack a sensor
    is nobody's fault.
    """
    missing = [name for name in BY_WIRE if name not in names]
    asked = parse_qs(urlsplit(url).query).get("fields", [""])[-1].split(",")
    gone = [name for name in missing if name in asked]
    if gone:
        return f"field `{gone[0]}` was asked for and no station has it"
    if len(missing) == len(BY_WIRE):
        return f"no known field; found: {', '.join(sorted(names)[:6])}"
    unknown = names - NAMES - UNUSED
    for short in (name for name in missing if len(name) <= 3):
        alike = [name for name in sorted(unknown) if name.startswith(short)]
        if alike:
            return f"`{short}` is missing and `{alike[0]}` is unknown: renamed?"
    try:
        values.refuse_renames([name for name in missing if len(name) > 3], unknown)
    except RowError as error:
        return str(error)
    return None


def _observation(
    station: Any,
    time: Any,
    row: Mapping[str, Any],
    zone: tzinfo,
    converters: Mapping[str, Convert],
) -> HourlyObservation:
    if not isinstance(time, str):
        raise RowError(f"time: {values.shown(str(time))} is not text")
    return HourlyObservation(
        station_id=_station_id(station),
        observed_at=station_instant(time, zone),
        **measured(row, converters),
    )


def _meters(value: Any, field: str, low: float, high: float) -> float | None:
    feet = present(value, field)
    found = None if feet is None else round(feet * FEET, 3)
    if found is not None and not low <= found <= high:
        raise RowError(f"{field}: {feet:g} ft is impossible; allowed: {low:g} to {high:g} m")
    return found


def _whole(value: int | str | None, field: str) -> int | None:
    number = present(value, field)
    if number is not None and number != int(number):
        raise RowError(f"{field}: {number} is not a whole number")
    return None if number is None else values.bounded(int(number), field)


def _bounded(value: float | None, field: str, limit: float) -> float | None:
    if value is not None and abs(value) > limit:
        raise RowError(f"{field}: {value} is out of range; allowed: {-limit:g} to {limit:g}")
    return value


def _text(value: str | None, field: str) -> str | None:
    return values.clean(value, field, max_length=256)


def _station_id(value: Any) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not (1 <= len(text) <= 16 and text.isascii() and text.isalnum()):
        raise RowError(f"station: {values.shown(str(value))} is not an id such as den01")
    return text


def _active(value: str | bool | None) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    words = {"active": True, "inactive": False}
    word = value.strip().lower()
    if word not in words:
        raise RowError(f"active: {values.shown(value)}; allowed: active, inactive")
    return words[word]


def _seen_at(text: str | None) -> datetime | None:
    """firstObs and lastObs, in the network's standard time unless they say otherwise."""
    if text is None or not text.strip():
        return None
    text = text.strip()
    if len(text) == len("2026-01-01"):
        text += " 00:00"
    return station_instant(text, network_zone("mst", None))


def _active_ids(document: Document) -> list[str]:
    """Ids of active stations; a station whose metadata is broken is not asked for."""
    reader = wire.envelope(_body(document), what=document.url)
    found = []
    for raw in reader.values():
        try:
            row = wire.decode(raw, _StationRow)
            if _active(row.active) is not False:
                found.append(_station_id(row.station))
        except RowError:
            continue
    if not found:
        raise DocumentError(f"{document.url}: lists no active station")
    return sorted(found)
