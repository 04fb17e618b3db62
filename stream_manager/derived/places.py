"""Populated places, and which of them are near a point. Origin and licence: README.md here."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from stream_manager.derived.grid import Grid, Point

SOURCE = "GeoNames, geonames.org, CC BY 4.0"
CELL_KM = 8.0


@dataclass(frozen=True, slots=True)
class Place:
    """A town or city; ``state`` is a two-letter state or territory."""

    place_id: int
    name: str
    state: str
    latitude: float
    longitude: float
    population: int


class Places:
    """Places by where they are."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._grid: Grid[Place] = Grid(CELL_KM)
        self._by_id: dict[int, Place] = {}
        for place in places:
            point = Point(place.latitude, place.longitude)
            self._grid.put(str(place.place_id), point, place)
            self._by_id[place.place_id] = place

    def near(self, point: Point, km: float) -> list[tuple[Place, float]]:
        """Return the places within ``km`` and their distances."""
        return [(place, far) for _, place, far in self._grid.near(point, km)]

    def is_any_near(self, point: Point, km: float) -> bool:
        """Whether any place is within ``km``; ends with the first that is found."""
        return next(self._grid.near(point, km), None) is not None

    def get(self, place_id: int) -> Place | None:
        """Return a place by its id."""
        return self._by_id.get(place_id)


@lru_cache(maxsize=1)
def us_places() -> Places:
    """Return the places of the United States and its territories."""
    text = resources.files("stream_manager.derived").joinpath("us_places.csv").read_text("utf-8")
    return Places(
        Place(
            int(row["place_id"]),
            row["name"],
            row["state"],
            float(row["latitude"]),
            float(row["longitude"]),
            int(row["population"]),
        )
        for row in csv.DictReader(text.splitlines())
    )
