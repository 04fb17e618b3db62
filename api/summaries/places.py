"""Where somebody asks about: a county, by its code or by a point in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.problems import Problem, bad_parameter
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


async def find_place(
    reader: Reader,
    database: str,
    county: str | None,
    latitude: float | None,
    longitude: float | None,
    *,
    seconds: float,
) -> Place:
    """Return the place.

    Raises Problem ``bad-parameter`` unless there is either a county or a whole point, and
    ``not-found`` for a county that is unknown or a point outside of all counties.
    """
    has_point = latitude is not None and longitude is not None
    if (county is None) != has_point or (latitude is None) != (longitude is None):
        raise bad_parameter("county", county, "either county=FIPS code, or lat= and lon= together")
    if county is not None:
        rows = await reader.rows(statements.county_by_code(database, county), seconds=seconds)
        if not rows:
            raise Problem("not-found", f"no county has the FIPS code {county}, such as 08013")
        fips, name, state = rows[0]
        return Place(fips, name, state)
    if latitude is None or longitude is None:
        raise AssertionError("checked above")
    statement = statements.county_of_point(database, longitude, latitude)
    rows = await reader.rows(statement, seconds=seconds)
    if not rows:
        what = f"latitude {latitude:g}, longitude {longitude:g}"
        raise Problem("not-found", f"{what} is in no county of the United States")
    fips, name, state, _ = rows[0]
    return Place(fips, name, state, longitude, latitude)
