"""CoAgMet's data service: metadata and hourly observations, as JSON columns or CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from simulator.answers import (
    Answer,
    Defect,
    Fact,
    MutationError,
    SourceRequest,
    conditional,
    etag_of,
    fingerprint,
    to_json,
)
from simulator.coagmet.stations import STATIONS, Station
from simulator.coagmet.weather import FIELDS, MISSING, Weather
from simulator.instants import DAY, HOUR, iso_utc, utc

OBSERVATIONS = "coagmet_hourly_observations"
_STATIONS = "coagmet_stations"
_PATH = re.compile(r"^/data/hourly(?:/(?P<station>[^/.]+))?\.(?P<format>json|csv)$")
_MOST_ROWS = 250_000
_ZONES: dict[str, tzinfo] = {
    "mst": timezone(timedelta(hours=-7)),
    "utc": UTC,
}
_LABELS = {
    "t": ("Air Temp", "deg C", "deg F"),
    "rh": ("RH", "fraction", "fraction"),
    "dewpt": ("Dewpoint", "deg C", "deg F"),
    "vp": ("Vapor Pressure", "kPa", "kPa"),
    "solarRad": ("Solar Rad", "W/m^2", "W/m^2"),
    "precip": ("Liquid Precip", "mm", "in"),
    "windSpeed": ("Wind", "m/s", "mph"),
    "windDir": ("Wind Dir", "deg", "deg"),
    "gustSpeed": ("Gust Speed", "m/s", "mph"),
    "gustDir": ("Gust Dir", "deg", "deg"),
    "st5cm": ("5cm Soil Temp", "deg C", "deg F"),
    "st15cm": ("15cm Soil Temp", "deg C", "deg F"),
}


class _RefusedError(ValueError):
    """A request that the service does not answer."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A checked request for hourly data."""

    stations: tuple[Station, ...]
    single: bool
    fields: tuple[str, ...]
    hours: tuple[float, ...]
    metric: bool
    zone_name: str
    zone: tzinfo
    iso: bool
    header: bool

    def time(self, hour: float) -> str:
        """Write the end of an hour in the asked zone and format, without an offset."""
        local = utc(hour).astimezone(self.zone)
        return local.strftime("%Y-%m-%dT%H:%M" if self.iso else "%m/%d/%Y %H:%M")

    def value(self, field: str, metric: float) -> float:
        """Return a value in the asked units."""
        if self.metric or metric == MISSING:
            return metric
        if field in ("t", "dewpt", "st5cm", "st15cm"):
            return round(metric * 1.8 + 32, 2)
        if field == "precip":
            return round(metric / 25.4, 3)
        return round(metric / 0.44704, 2) if field in ("windSpeed", "gustSpeed") else metric


class CoagmetSource:
    """coagmet.colostate.edu with metadata and hourly data."""

    host: ClassVar[str] = "coagmet.colostate.edu"
    name: ClassVar[str] = "coagmet"
    paths: ClassVar[tuple[str, ...]] = (
        "/data/metadata.json",
        "/data/hourly.json",
        "/data/hourly.csv",
        "/data/hourly/fcl01.json",
    )
    mutations: ClassVar[tuple[str, ...]] = ("late_station", "revise")

    def __init__(self, seed: int) -> None:
        self._weather = Weather(seed)
        self._mutations = 0

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Apply a named change; see ``mutations``."""
        number = self._mutations + 1
        if mutation == "late_station":
            changed = self._weather.silence(at, options, number)
        elif mutation == "revise":
            changed = self._weather.revise(at, options, number)
            changed["hour"] = iso_utc(changed["hour"])
        else:
            known = ", ".join(self.mutations)
            raise MutationError(f"coagmet has no mutation {mutation!r}; it has: {known}")
        self._mutations = number  # only now: a refused one is not logged and must leave no trace
        return changed

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request for metadata or hourly data; None for any other path."""
        if request.path == self.paths[0]:
            return conditional(request, self._metadata(request))
        match = _PATH.match(request.path)
        if match is None:
            return None
        try:
            asked = self._check(request, match["station"])
        except (_RefusedError, ValueError) as error:
            return Answer(to_json({"error": str(error)}), "application/json", 400)
        rows, facts = self._rows(asked, request.now)
        drop = 0
        if defect == "malformed_row" and rows:
            first = next(iter(rows))
            rows[first] = [{**rows[first][0], asked.fields[0]: "bad"}, *rows[first][1:]]
            drop = 1
        if defect == "drift":
            rows = {s: [_drifted(row) for row in of] for s, of in rows.items()}
            drop = len(facts)
        text = match["format"] == "csv"
        body = _csv(asked, rows) if text else _json(asked, rows, request.now)
        kind = "text/csv; charset=utf-8" if text else "application/json"
        answer = Answer(body, kind, 200, {"ETag": etag_of(body)}, facts[drop:])
        return conditional(request, answer)

    def _metadata(self, request: SourceRequest) -> Answer:
        zone = _zone(request.parameter("tz", "mst"))
        stations, facts = {}, []
        for station in STATIONS.values():
            last = utc(self._weather.latest(station, request.now)).astimezone(zone)
            entry = station.metadata(last.strftime("%Y-%m-%dT%H:%M"))
            stations[station.id] = entry
            stable = {k: v for k, v in entry.items() if k not in ("lastObs", "firstObs")}
            values = {"station_id": station.id, "is_active": station.active}
            facts.append(Fact(_STATIONS, station.id, fingerprint(stable), values))
        body = to_json(stations)
        return Answer(body, "application/json", 200, {"ETag": etag_of(body)}, facts)

    def _check(self, request: SourceRequest, station: str | None) -> _Asked:
        named = station or request.parameter("stations") or request.parameter("stns")
        ids = [part.strip() for part in named.split(",") if part.strip()]
        unknown = [number for number in ids if number not in STATIONS]
        if unknown:
            raise _RefusedError(f"unknown station: {', '.join(unknown)}")
        stations = tuple(STATIONS[n] for n in dict.fromkeys(ids)) or tuple(STATIONS.values())
        named = request.parameter("fields") or request.parameter("flds")
        fields = tuple(part.strip() for part in named.split(",") if part.strip()) or FIELDS
        for field in fields:
            if field not in FIELDS:
                raise _RefusedError(f"unknown field: {field}")
        zone_name = request.parameter("tz", "mst")
        zone = _zone(zone_name)
        hours = self._hours(request, zone)
        if len(hours) * len(stations) > _MOST_ROWS:
            raise _RefusedError(f"more than {_MOST_ROWS} rows; ask for less")
        return _Asked(
            stations, len(stations) == 1, fields, hours,
            metric=request.parameter("units", "us") == "m", zone_name=zone_name, zone=zone,
            iso=request.parameter("dateFmt") == "iso" or request.path.endswith(".json"),
            header=request.parameter("header") == "yes",
        )  # fmt: skip

    def _hours(self, request: SourceRequest, zone: tzinfo) -> tuple[float, ...]:
        newest = max(self._weather.latest(s, request.now) for s in STATIONS.values())
        end = _moment(request.parameter("to", "now"), zone, request.now, whole_day=True)
        begin = end - DAY
        if request.has("span"):
            begin = end - float(request.parameter("span")) * DAY
        if request.has("from"):
            begin = _moment(request.parameter("from"), zone, request.now, whole_day=False)
        first, last = -(-begin // HOUR), min(end, newest) // HOUR
        if last - first > _MOST_ROWS:
            raise _RefusedError(f"more than {_MOST_ROWS} hours; ask for less")
        return tuple(hour * HOUR for hour in range(int(first), int(last) + 1))

    def _rows(
        self, asked: _Asked, now: float
    ) -> tuple[dict[str, list[dict[str, Any]]], list[Fact]]:
        """Return rows by station; a station that lags behind the newest hour is left out."""
        rows: dict[str, list[dict[str, Any]]] = {}
        facts = []
        for station in asked.stations:
            if not asked.hours or self._weather.latest(station, now) < asked.hours[-1]:
                continue
            rows[station.id] = []
            for hour in asked.hours:
                metric = self._weather.values(station, hour, now)
                rows[station.id].append({f: asked.value(f, metric[f]) for f in asked.fields})
                facts.append(_fact(station, hour, metric, asked.fields))
        return rows, facts


def _fact(
    station: Station, hour: float, metric: Mapping[str, float], fields: Sequence[str]
) -> Fact:
    def known(field: str) -> float | None:
        return None if metric[field] == MISSING else metric[field]

    at = iso_utc(hour)
    values = {
        "station_id": station.id,
        "observed_at": at,
        "air_temperature_c": known("t"),
        "precipitation_mm": known("precip"),
        "wind_gust_m_s": known("gustSpeed"),
        "all_missing": all(metric[field] == MISSING for field in fields),
    }
    mark = fingerprint([metric[field] for field in fields])
    return Fact(OBSERVATIONS, f"{station.id}|{at}", mark, values)


def _json(asked: _Asked, rows: Mapping[str, list[dict[str, Any]]], now: float) -> bytes:
    offset = utc(now).astimezone(asked.zone).strftime("%z")
    head: dict[str, Any] = {
        "which": "qc",
        "frequency": "hourly",
        "timestep": 3600,
        "timezone": asked.zone_name,
        "tzOffset": f"{offset[:3]}:{offset[3:]}",
        "units": "m" if asked.metric else "us",
    }
    times = [asked.time(hour) for hour in asked.hours]
    columns = {
        number: {name: [row[name] for row in of] for name in (of[0] if of else ())}
        for number, of in rows.items()
    }
    if asked.single:
        number = asked.stations[0].id
        return to_json({**head, "station": number, "time": times, **columns.get(number, {})})
    return to_json({**head, "stations": list(rows), "time": times, **columns})


def _csv(asked: _Asked, rows: Mapping[str, list[dict[str, Any]]]) -> bytes:
    lines = []
    if asked.header:
        unit = 1 if asked.metric else 2
        lines.append(",".join(["Station", "Date and Time", *(_LABELS[f][0] for f in asked.fields)]))
        lines.append(",".join(["", "", *(_LABELS[f][unit] for f in asked.fields)]))
    for number, of in rows.items():
        for hour, row in zip(asked.hours, of, strict=True):
            lines.append(",".join([number, asked.time(hour), *(f"{v}" for v in row.values())]))
    return ("\n".join(lines) + "\n").encode()


def _drifted(row: dict[str, Any]) -> dict[str, Any]:
    """Rename the first column, as a breaking change of the service would."""
    first = next(iter(row))
    return {(f"{k}Avg" if k == first else k): v for k, v in row.items()}


def _zone(name: str) -> tzinfo:
    if name == "co":
        return ZoneInfo("America/Denver")
    if name not in _ZONES:
        raise _RefusedError(f"unknown tz: {name}; known: mst, co, utc")
    return _ZONES[name]


def _moment(text: str, zone: tzinfo, now: float, *, whole_day: bool) -> float:
    """Read ``YYYY-MM-DD[THH:MM]``, ``now``, ``end`` or ``start``. Raises ValueError."""
    if text in ("now", "end"):
        return now
    if text == "start":
        raise _RefusedError("the whole history is too much for one request; name a date")
    moment = datetime.fromisoformat(text)
    if "T" not in text and whole_day:
        moment += timedelta(days=1)
    return moment.replace(tzinfo=zone).timestamp()
