"""Fires that burn for days, and the satellites that see them every few hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulator.answers import MutationError
from simulator.geography.places import STATES
from simulator.instants import DAY, HOUR
from simulator.seeds import fraction

STRETCH_SECONDS = 10 * DAY
"""A county draws anew in every stretch whether a fire breaks out."""

OUTBREAK = 0.15
LONGEST_SECONDS = 6 * DAY
PASS_SECONDS = 6 * HOUR
SEEN_AFTER_SECONDS = 600.0
"""From the overpass to the first, real-time product."""

BETTER_AFTER_SECONDS = 3 * HOUR
"""From the overpass to the near-real-time product, which replaces the first one."""

ARCHIVED_AFTER_SECONDS = 60 * DAY
"""From the overpass to the standard product, which is served apart."""


@dataclass(frozen=True, slots=True)
class Satellite:
    """A satellite, its product's name without NRT or SP, and its first pass after midnight."""

    name: str
    product: str
    family: str
    offset: float


SATELLITES = (
    Satellite("Terra", "MODIS", "MODIS", 0.7 * HOUR),
    Satellite("Aqua", "MODIS", "MODIS", 3.1 * HOUR),
    Satellite("N", "VIIRS_SNPP", "VIIRS", 2.2 * HOUR),
    Satellite("N20", "VIIRS_NOAA20", "VIIRS", 1.4 * HOUR),
    Satellite("N21", "VIIRS_NOAA21", "VIIRS", 4.6 * HOUR),
)


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire: where and how long it burns, and how large it is in pixels."""

    id: str
    latitude: float
    longitude: float
    began: float
    ended: float
    pixels: int


@dataclass(frozen=True, slots=True)
class Pixel:
    """What one satellite saw in one pixel; ``acquired`` in seconds, to the minute."""

    satellite: Satellite
    acquired: float
    latitude: float
    longitude: float
    short_k: float
    long_k: float
    scan: float
    track: float
    confidence: int
    frp: float | None
    is_day: bool


class Fires:
    """All fires of a world: drawn by county and stretch, and started from outside."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._started: list[Fire] = []
        self._drawn = lru_cache(maxsize=64)(self._draw)
        self._seen = lru_cache(maxsize=20_000)(self._look)

    def start(self, at: float, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Start a fire now; options: latitude, longitude, pixels. Raises MutationError."""
        place = {"latitude": 39.76, "longitude": -105.22, "pixels": 6, **options}
        if not (
            -90 <= float(place["latitude"]) <= 90
            and -180 <= float(place["longitude"]) <= 180
            and 1 <= int(place["pixels"]) <= 100
        ):
            raise MutationError("latitude -90 to 90, longitude -180 to 180, pixels 1 to 100")
        fire = Fire(
            f"started-{number}", float(place["latitude"]), float(place["longitude"]),
            at - PASS_SECONDS, at + LONGEST_SECONDS, int(place["pixels"]),
        )  # fmt: skip
        self._started.append(fire)
        return {"latitude": fire.latitude, "longitude": fire.longitude, "pixels": fire.pixels}

    def pixels(self, satellite: Satellite, since: float, until: float) -> Iterator[Pixel]:
        """What a satellite saw from ``since`` until before ``until``, in order of time."""
        first = int((since - satellite.offset) // PASS_SECONDS)
        last = int((until - satellite.offset) // PASS_SECONDS)
        for number in range(first, last + 1):
            passed = satellite.offset + number * PASS_SECONDS
            for fire in self._burning(passed):
                for pixel in self._seen(fire, satellite, passed):
                    if since <= pixel.acquired < until:
                        yield pixel

    def _burning(self, at: float) -> list[Fire]:
        stretch = int(at // STRETCH_SECONDS)
        fires = [*self._drawn(stretch - 1), *self._drawn(stretch), *self._started]
        return [fire for fire in fires if fire.began <= at < fire.ended]

    def _draw(self, stretch: int) -> tuple[Fire, ...]:
        found = []
        for state in STATES.values():
            for county in state.counties:
                name = f"{county.fips}-{stretch}"
                if self._part("outbreak", name) >= OUTBREAK:
                    continue
                began = (stretch + self._part("began", name)) * STRETCH_SECONDS
                found.append(
                    Fire(
                        name,
                        county.latitude + 0.2 * (self._part("north", name) - 0.5),
                        county.longitude + 0.2 * (self._part("east", name) - 0.5),
                        began,
                        began + DAY + self._part("length", name) * (LONGEST_SECONDS - DAY),
                        1 + int(self._part("size", name) ** 3 * 8),
                    )
                )
        return tuple(found)

    def _look(self, fire: Fire, satellite: Satellite, passed: float) -> tuple[Pixel, ...]:
        found = []
        for index in range(fire.pixels):
            names = (fire.id, satellite.name, int(passed), index)
            if self._part("hidden", *names) < 0.2:  # smoke or cloud
                continue
            power = round(1 + 120 * self._part("power", *names) ** 4, 2)
            found.append(
                Pixel(
                    satellite,
                    (passed + 60 * int(5 * self._part("late", fire.id, passed))) // 60 * 60,
                    round(
                        fire.latitude + 0.004 * (index // 3) + 0.001 * self._part("y", *names), 5
                    ),
                    round(
                        fire.longitude + 0.004 * (index % 3) + 0.001 * self._part("x", *names), 5
                    ),
                    round(300 + 67 * self._part("short", *names), 2),
                    round(272 + 35 * self._part("long", *names), 2),
                    round(0.32 + 0.5 * self._part("scan", *names), 2),
                    round(0.36 + 0.4 * self._part("track", *names), 2),
                    int(100 * self._part("sure", *names)),
                    None if self._part("blank", *names) < 0.02 else power,
                    (passed % DAY) / HOUR >= 13 or (passed % DAY) / HOUR < 1,
                )
            )
        return tuple(found)

    def _part(self, *names: object) -> float:
        return fraction(self._seed, "fire", *names)
