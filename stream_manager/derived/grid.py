"""Points on the globe by cell, and the ones within a distance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

EARTH_RADIUS_KM = 6371.0088
KM_PER_DEGREE = math.pi * EARTH_RADIUS_KM / 180
KM_PER_MILE = 1.609344
T = TypeVar("T")
Cell = tuple[int, int]


class Point(NamedTuple):
    """WGS 84, degrees."""

    latitude: float
    longitude: float


def distance_km(one: Point, other: Point) -> float:
    """Return the great-circle distance (haversine, mean radius)."""
    low, high = math.radians(one.latitude), math.radians(other.latitude)
    half_lat = math.sin((high - low) / 2)
    half_lon = math.sin(math.radians(other.longitude - one.longitude) / 2)
    part = half_lat * half_lat + math.cos(low) * math.cos(high) * half_lon * half_lon
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(part)))


class Grid(Generic[T]):
    """Things at points; cells are about ``cell_km`` wide at every latitude."""

    def __init__(self, cell_km: float) -> None:
        self._step = cell_km / KM_PER_DEGREE
        self._cells: dict[Cell, dict[str, tuple[Point, T]]] = {}

    def put(self, name: str, point: Point, thing: T) -> None:
        """Put or replace a thing by its name; a name stays where it is."""
        self._cells.setdefault(self.cell(point), {})[name] = (point, thing)

    def remove(self, name: str, point: Point) -> None:
        """Remove a thing; one that is not there is no error."""
        cell = self.cell(point)
        things = self._cells.get(cell, {})
        things.pop(name, None)
        if not things:
            self._cells.pop(cell, None)

    def near(self, point: Point, km: float) -> Iterator[tuple[str, T, float]]:
        """Yield name, thing and distance of everything within ``km``, in no order."""
        for cell in self._around(point, km):
            for name, (place, thing) in self._cells.get(cell, {}).items():
                far = distance_km(point, place)
                if far <= km:
                    yield name, thing, far

    def cell(self, point: Point) -> Cell:
        """Return the cell of a point."""
        band = math.floor(point.latitude / self._step)
        return band, math.floor(_wrap(point.longitude) / self._width(band))

    def _width(self, band: int) -> float:
        """Return the degrees of longitude of a cell: wider towards the poles."""
        return self._step / max(0.01, math.cos(math.radians(band * self._step)))

    def _around(self, point: Point, km: float) -> Iterator[Cell]:
        reach = km / KM_PER_DEGREE * 1.001
        first = math.floor((point.latitude - reach) / self._step)
        last = math.floor((point.latitude + reach) / self._step)
        edge = min(89.9, abs(point.latitude) + reach)
        sideways = min(180.0, reach / math.cos(math.radians(edge)))
        west, east = point.longitude - sideways, point.longitude + sideways
        for band in range(first, last + 1):
            width = self._width(band)
            # The same meridian has two names at 180 degrees.
            for turn in (0.0, 360.0, -360.0):
                low, high = max(west + turn, -180.0), min(east + turn, 180.0)
                for column in range(math.floor(low / width), math.floor(high / width) + 1):
                    yield band, column


def _wrap(longitude: float) -> float:
    """Return the longitude from -180 up to, not including, 180."""
    return (longitude + 180.0) % 360.0 - 180.0
