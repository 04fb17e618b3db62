"""Where somebody asks about: a county, by its code or by a point in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.problems import Problem
from api.reading.reader import Reader
from api.summaries import statements


@dataclass(frozen=True, slots=True)
class Place:
    """A county, and the point in degrees (WGS 84) when one was asked about."""

    county_fips: str
    name: str
    state: str
    longitude: float | None = None
    latitude: float | None = None

    def shown(self) -> dict[str, Any]:
        """Return it as answers show it."""
        place: dict[str, Any] = {
            "countyFips": self.county_fips,
            "name": self.name,
            "state": self.state,
        }
        if self.longitude is not None:
            place |= {"longitude": self.longitude, "latitude": self.latitude}
        return place


async def place_of_county(reader: Reader, database: str, fips: str, *, seconds: float) -> Place:
    """Return a county as a place. Raises Problem ``not-found`` for an unknown one."""
    rows = await reader.rows(statements.county_by_code(database, fips), seconds=seconds)
    if not rows:
        raise Problem("not-found", f"no county has the FIPS code {fips}; an example is 08013")
    code, name, state = rows[0]
    return Place(code, name, state)


async def place_of_point(
    reader: Reader, database: str, latitude: float, longitude: float, *, seconds: float
) -> Place:
    """Return the county around a point, with the point.

    Raises Problem ``not-found`` for a point outside of all counties.
    """
    statement = statements.county_of_point(database, longitude, latitude)
    rows = await reader.rows(statement, seconds=seconds)
    if not rows:
        what = f"latitude {latitude:g}, longitude {longitude:g}"
        raise Problem("not-found", f"{what} is in no county of the United States")
    fips, name, state, _ = rows[0]
    return Place(fips, name, state, longitude, latitude)
