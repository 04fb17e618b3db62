"""What is in force at a place now, from the landed rows.

A message is in force by area (zone or county). A point is inside the polygon of a message that has
one; outside of it, the message still names the area around. What cannot be placed exactly is shown
rather than left out, and says how it was matched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import shapely
from shapely.errors import ShapelyError

from api.formats.features import json_value
from api.reading.reader import Reader
from api.summaries import statements
from api.summaries.places import Place
from api.summaries.rows import dicts

Match = Literal["polygon", "county", "zone", "message"]
RANKS: dict[Match, int] = {"polygon": 0, "county": 1, "zone": 2, "message": 3}
SEVERITIES = {"Extreme": 0, "Severe": 1, "Moderate": 2, "Minor": 3}
INSTANTS = (
    "sent_at",
    "onset_at",
    "expires_at",
    "hazard_ends_at",
    "in_force_until",
    "accepted_at",
)
ROWS_AT_A_TIME = 500


async def in_force_at(
    reader: Reader, database: str, place: Place, *, seconds: float
) -> list[dict[str, Any]]:
    """Return the messages in force at a place as features, the most severe first.

    ``match``: polygon (the point is inside the message's), county (it names the county), zone (it
    names a zone with a part in the county), message (it names a zone whose counties are not known
    yet, and the county among all of its areas).
    """
    rows = await dicts(reader, statements.in_force(database, place.state), seconds)
    if not rows:
        return []
    ids = sorted({row["alert_id"] for row in rows})
    details: dict[str, dict[str, Any]] = {}
    naming: set[str] = set()
    for part in _parts(ids):
        found = await dicts(reader, statements.alert_details(part), seconds)
        details |= {row["alert_id"]: row for row in found}
        named = statements.alerts_naming(place.county_fips, part)
        naming |= {row["alert_id"] for row in await dicts(reader, named, seconds)}
    counties = await _counties(reader, database, rows, seconds)
    best: dict[tuple[str, str], tuple[Match, dict[str, Any]]] = {}
    for row in rows:
        geojson = details.get(row["alert_id"], {}).get("geometry")
        match = match_of(row, geojson, counties, naming, place)
        if match is None:
            continue
        key = (row["event_key"], row["alert_id"])
        if key not in best or RANKS[match] < RANKS[best[key][0]]:
            best[key] = (match, row)
    shown = [_feature(row, details.get(row["alert_id"], {}), match) for match, row in best.values()]
    return sorted(shown, key=_urgency)


async def in_force_by_county(
    reader: Reader, database: str, *, seconds: float
) -> tuple[list[dict[str, Any]], datetime | None]:
    """Return each event in force with the counties that it concerns, the most severe first.

    zonesWithoutCounty: areas whose counties are not known. The newest acceptance comes beside.
    """
    rows = await dicts(reader, statements.in_force_everywhere(database), seconds)
    counties = await _counties(reader, database, rows, seconds)
    events: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        events.setdefault(row["event_key"], []).append(row)
    shown = [_event(areas, counties) for areas in events.values()]
    shown.sort(key=lambda one: (_severity(one["severity"]), one["sentAt"]))
    return shown, max((row["accepted_at"] for row in rows), default=None)


def _event(
    areas: Sequence[Mapping[str, Any]], counties: Mapping[str, frozenset[str]]
) -> dict[str, Any]:
    """Return one event: its newest message speaks, its worst severity counts."""
    newest = max(areas, key=lambda row: row["sent_at"])
    ends = [row["in_force_until"] for row in areas]
    known: set[str] = set()
    unknown = 0
    for row in areas:
        found = counties.get(row["zone_code"], frozenset())
        if row["county_fips"]:
            found = frozenset({row["county_fips"]})
        known.update(found)
        unknown += not found
    return {
        "eventKey": newest["event_key"],
        "alertId": newest["alert_id"],
        "event": newest["event"],
        "severity": min((row["severity"] for row in areas), key=_severity),
        "headline": newest["headline"],
        "senderName": newest["sender_name"],
        "sentAt": json_value(newest["sent_at"], "date-time"),
        "inForceUntil": None if None in ends else json_value(max(ends), "date-time"),
        "counties": sorted(known),
        "zones": len(areas),
        "zonesWithoutCounty": unknown,
    }


def match_of(
    row: Mapping[str, Any],
    geojson: str | None,
    counties: Mapping[str, frozenset[str]],
    naming: Collection[str],
    place: Place,
) -> Match | None:
    """Return how a message's area concerns a place; None: not at all.

    counties: of the zones whose counties are known. naming: messages that name the county.
    """
    known = counties.get(row["zone_code"])
    area: Match | None = None
    if row["county_fips"] == place.county_fips:
        area = "county"
    elif row["county_fips"] is None and known is not None and place.county_fips in known:
        area = "zone"
    elif row["county_fips"] is None and known is None and row["alert_id"] in naming:
        area = "message"
    if area is not None and place.longitude is not None and place.latitude is not None:
        inside = _is_inside(geojson, place.longitude, place.latitude)
        return "polygon" if inside else area
    return area


def _is_inside(geojson: str | None, longitude: float, latitude: float) -> bool:
    if not geojson:
        return False
    try:
        shape = shapely.from_geojson(geojson)
        return bool(shapely.intersects_xy(shape, longitude, latitude))
    except ShapelyError:
        return False  # the area still matches


async def _counties(
    reader: Reader, database: str, rows: Sequence[Mapping[str, Any]], seconds: float
) -> dict[str, frozenset[str]]:
    """Return the counties of the zones of rows that name no county, as far as they are known."""
    zones = sorted({row["zone_code"] for row in rows if row["county_fips"] is None})
    found: dict[str, set[str]] = {}
    for part in _parts(zones):
        for row in await dicts(reader, statements.zones_of_counties(database, part), seconds):
            found.setdefault(row["zone_code"], set()).add(row["county_fips"])
    return {zone: frozenset(counties) for zone, counties in found.items()}


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield as many values at a time as one statement should have."""
    for at in range(0, len(values), ROWS_AT_A_TIME):
        yield values[at : at + ROWS_AT_A_TIME]


def _feature(row: dict[str, Any], detail: Mapping[str, Any], match: Match) -> dict[str, Any]:
    geojson = detail.get("geometry")
    shown = {
        name: json_value(value, "date-time" if name in INSTANTS else "string")
        for name, value in row.items()
    }
    for name in ("has_begun", "is_simulated"):
        shown[name] = None if row[name] is None else bool(row[name])
    return {
        "type": "Feature",
        "id": f"{row['event_key']}|{row['zone_code']}",
        "geometry": msgspec.Raw(geojson.encode()) if geojson else None,
        "properties": {**shown, "instruction": detail.get("instruction"), "match": match},
    }


def _severity(said: str | None) -> int:
    """Return where a severity stands, the worst first; an unknown one comes last."""
    return SEVERITIES.get(said or "", len(SEVERITIES))


def _urgency(feature: Mapping[str, Any]) -> tuple[int, int, str]:
    shown = feature["properties"]
    match: Match = shown["match"]
    return _severity(shown["severity"]), RANKS[match], str(shown["sent_at"])
