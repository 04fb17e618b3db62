"""Weather at a station and hour: a pure function of the seed, with late data and revisions.

Metric units: degrees Celsius, fraction, kPa, W/m2, mm, m/s, degrees.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulator.answers import MutationError
from simulator.coagmet.stations import STATIONS, Station
from simulator.instants import DAY, HOUR, day_of, read_iso
from simulator.seeds import stream

FIELDS = (
    "t", "rh", "dewpt", "vp", "solarRad", "precip", "windSpeed", "windDir", "gustSpeed", "gustDir",
    "st5cm", "st15cm",
)  # fmt: skip
MISSING = -999.0
ARRIVAL_SECONDS = 300.0
"""An hour is published this long after it ended, unless the station is late."""

_KEPT_DAYS = 7
Values = dict[str, float]
Revision = tuple[float, str, float]
"""From the instant on, the field has the value."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in one hour, and what quality control will make of it."""

    values: Values
    revisions: tuple[Revision, ...]


class Weather:
    """Values by station and hour (instants of hours' ends), as they stand at an instant."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._days: dict[tuple[str, int], list[Measured]] = {}
        self._silences: list[tuple[str, float, float]] = []
        self._revisions: dict[tuple[str, float], list[Revision]] = {}

    def latest(self, station: Station, now: float) -> float:
        """Return the newest hour that the station has published at ``now``."""
        published = (now - ARRIVAL_SECONDS) // HOUR * HOUR
        if not station.active:
            return read_iso("2012-10-01T00:00")
        until = now
        for begins, ends in self._late(station, now):
            if begins <= now < ends:
                until = min(until, begins)
        return min(published, (until - ARRIVAL_SECONDS) // HOUR * HOUR)

    def values(self, station: Station, hour: float, now: float) -> Values:
        """Return the values of an hour; ``MISSING`` where nothing was measured."""
        day, part = divmod(int(hour // HOUR), 24)
        key = (station.id, day)
        if key not in self._days:
            if len(self._days) > len(STATIONS) * _KEPT_DAYS:
                self._days.clear()
            self._days[key] = _measure_day(self._seed, station, day)
        measured = self._days[key][part]
        revisions = (*measured.revisions, *self._revisions.get((station.id, hour), ()))
        revised = {field: value for at, field, value in revisions if at <= now}
        return {**measured.values, **revised} if revised else measured.values

    def silence(self, at: float, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Make a station late from now on, for ``hours`` (default 3)."""
        station = self._station(options, number)
        hours = float(options.get("hours", 3.0))
        self._silences.append((station.id, at, at + hours * HOUR))
        return {"station": station.id, "hours": hours}

    def revise(self, at: float, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Change one value of one hour, as quality control does.

        Options: station, hour (ISO, UTC), field, value; by default chosen by the seed.
        """
        station = self._station(options, number)
        rng = stream(self._seed, "coagmet", "revise", number)
        hour = self.latest(station, at) - HOUR * rng.randrange(1, 40)
        if "hour" in options:
            hour = read_iso(str(options["hour"]))
        field = str(options.get("field", "t"))
        if field not in FIELDS:
            raise MutationError(f"coagmet: unknown field {field!r}; fields: {', '.join(FIELDS)}")
        old = self.values(station, hour, at)[field]
        base = 0.0 if old == MISSING else old
        new = float(options.get("value", round(base + rng.choice((-1.3, 0.7, 1.9)), 2)))
        self._revisions.setdefault((station.id, hour), []).append((at, field, new))
        return {"station": station.id, "hour": hour, "field": field, "old": old, "new": new}

    def _station(self, options: Mapping[str, Any], number: int) -> Station:
        active = [station for station in STATIONS.values() if station.active]
        asked = options.get("station")
        if asked is None:
            return stream(self._seed, "coagmet", "station", number).choice(active)
        if asked not in STATIONS:
            raise MutationError(f"coagmet has no station {asked!r}; it has: {', '.join(STATIONS)}")
        return STATIONS[str(asked)]

    def _late(self, station: Station, now: float) -> list[tuple[float, float]]:
        """Return spans in which the station is silent; one station in twelve on any day."""
        spans = [(begins, ends) for name, begins, ends in self._silences if name == station.id]
        for day in (now // DAY - 1, now // DAY):
            rng = stream(self._seed, "coagmet", "late", station.id, day)
            if rng.random() < 1 / 12:
                begins = (day + rng.random()) * DAY
                spans.append((begins, begins + rng.uniform(1.5, 6) * HOUR))
        return spans


def _measure_day(seed: int, station: Station, day: int) -> list[Measured]:
    """Return what the sensors measured in the 24 hours of a UTC day."""
    rng = stream(seed, "coagmet", station.id, day)
    measured = []
    for hour in range(day * 24, day * 24 + 24):
        values = _with_gaps(rng, _measure(rng, seed, station, hour * HOUR))
        measured.append(Measured(values, _planned(rng, hour * HOUR, values)))
    return measured


def _measure(rng: random.Random, seed: int, station: Station, hour: float) -> Values:
    """Return an hour's values: seasonal and daily courses, and the weather."""
    local = (hour / HOUR - 7) % 24
    season = math.cos(2 * math.pi * (day_of(hour).timetuple().tm_yday - 200) / 365)
    front = _slow(seed, "front", hour, 3 * DAY)
    moisture = _slow(seed, "moisture", hour, 2 * DAY)
    warmth = 11 + 13 * season - (station.elevation - 4500) * 0.0018 + 7 * front
    daily = math.cos(2 * math.pi * (local - 15) / 24)
    t = warmth + 7.5 * daily + rng.gauss(0, 0.5)
    rh = min(1.0, max(0.06, 0.5 - 0.22 * daily + 0.3 * moisture + rng.gauss(0, 0.03)))
    saturated = 0.6108 * math.exp(17.27 * t / (t + 237.3))
    vp = rh * saturated
    ratio = math.log(max(vp, 0.01) / 0.6108)
    sun = max(0.0, math.sin(math.pi * (local - 6.5 + season) / (11 + 2 * season)))
    wet = moisture > 0.35 and rng.random() < 0.5
    wind = max(0.2, 2.6 + 2.4 * abs(front) + 1.2 * daily + rng.gauss(0, 0.8))
    return {
        "t": round(t, 2),
        "rh": round(rh, 3),
        "dewpt": round(237.3 * ratio / (17.27 - ratio), 2),
        "vp": round(vp, 3),
        "solarRad": round(sun * (640 + 300 * season) * (0.35 if wet else 1.0), 1),
        "precip": round(rng.expovariate(1 / 1.4), 2) if wet else 0.0,
        "windSpeed": round(wind, 2),
        "windDir": round((230 + 90 * front + rng.gauss(0, 25)) % 360, 1),
        "gustSpeed": round(wind * rng.uniform(1.3, 2.1), 2),
        "gustDir": round((230 + 90 * front + rng.gauss(0, 35)) % 360, 1),
        "st5cm": round(warmth + 3.5 * math.cos(2 * math.pi * (local - 17) / 24), 2),
        "st15cm": round(warmth + 1.2 * math.cos(2 * math.pi * (local - 20) / 24), 2),
    }


def _with_gaps(rng: random.Random, values: Values) -> Values:
    chance = rng.random()
    if chance < 0.003:
        return dict.fromkeys(values, MISSING)
    if chance < 0.015:
        values[rng.choice(FIELDS)] = MISSING
    return values


def _planned(rng: random.Random, hour: float, values: Values) -> tuple[Revision, ...]:
    """Return the revision that quality control makes of one hour in eighty, hours later."""
    if rng.random() >= 1 / 80:
        return ()
    at = round(hour + rng.uniform(2, 44) * HOUR)
    field = rng.choice(("t", "windSpeed", "gustSpeed", "precip", "st5cm"))
    if values[field] == MISSING:
        return ((at, field, 0.0 if field == "precip" else 4.2),)
    if rng.random() < 0.3:
        return ((at, field, MISSING),)
    return ((at, field, round(values[field] + rng.choice((0.4, 0.9)), 2)),)


@lru_cache(maxsize=4096)
def _slow(seed: int, name: str, instant: float, period: float) -> float:
    """Return smooth noise between -1 and 1 that changes over ``period`` seconds."""
    step, part = divmod(instant / period, 1.0)
    low = stream(seed, "coagmet", name, step).uniform(-1, 1)
    high = stream(seed, "coagmet", name, step + 1).uniform(-1, 1)
    weight = (1 - math.cos(math.pi * part)) / 2
    return low * (1 - weight) + high * weight
