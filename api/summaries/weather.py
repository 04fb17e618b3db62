"""Observed weather near a point: the stations around it and what they measured last."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from api.formats.features import json_value
from api.reading.reader import Reader
from api.summaries import statements
from api.summaries.rows import dicts
from stream_manager.derived.grid import KM_PER_DEGREE, Point, distance_km


async def weather_near(
    reader: Reader,
    database: str,
    point: Point,
    *,
    km: float,
    hours: int,
    stations: int,
    now: datetime,
    seconds: float,
) -> list[dict[str, Any]]:
    """Return the nearest stations as features, each with its observations of the last hours.

    A station that has been silent is there with no observations: silence is an answer.
    """
    reach = km / KM_PER_DEGREE
    sideways = min(180.0, reach / max(0.01, math.cos(math.radians(point.latitude))))
    box = statements.stations_within(
        database,
        point.latitude - reach,
        point.latitude + reach,
        point.longitude - sideways,
        point.longitude + sideways,
    )
    near = [
        (far, row)
        for row in await dicts(reader, box, seconds)
        if (far := distance_km(point, Point(row["latitude"], row["longitude"]))) <= km
    ]
    near.sort(key=lambda one: (one[0], one[1]["station_id"]))
    near = near[:stations]
    if not near:
        return []
    ids = [row["station_id"] for _, row in near]
    measured: dict[str, list[dict[str, Any]]] = {one: [] for one in ids}
    asked = statements.observations(ids, now - timedelta(hours=hours))
    for row in await dicts(reader, asked, seconds):
        measured[row.pop("station_id")].append(_shown(row))
    return [_feature(far, row, measured[row["station_id"]]) for far, row in near]


def _feature(far: float, row: dict[str, Any], observations: list[dict[str, Any]]) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [row["longitude"], row["latitude"]]}
    about = {name: row[name] for name in ("station_id", "station_name", "elevation_m",
                                          "county_fips", "state")}  # fmt: skip
    return {
        "type": "Feature",
        "id": row["station_id"],
        "geometry": place,
        "properties": {**about, "distance_km": round(far, 2), "observations": observations},
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    instants = ("observed_at", "accepted_at")
    shown = {
        name: json_value(value, "date-time" if name in instants else "number")
        for name, value in row.items()
    }
    return {**shown, "is_simulated": bool(row["is_simulated"])}
