"""The questions that people ask first: alerts in force, disasters, drought, weather."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.access.caller import Caller
from api.access.visibility import visible_collection
from api.context import Api, TheApi, TheCaller
from api.formats.features import json_value
from api.parameters import NoOtherParameters
from api.problems import documented
from api.query.model import Statement
from api.summaries import statements
from api.summaries.alerts import in_force_at, in_force_by_county
from api.summaries.places import Place, place_of_county, place_of_point
from api.summaries.weather import weather_near
from stream_manager.derived.grid import Point

PROBLEMS = documented("bad-parameter", "not-found", "timed-out", "unavailable")
router = APIRouter(
    prefix="/summaries", tags=["summaries"], dependencies=[NoOtherParameters], responses=PROBLEMS
)
GEOJSON = "application/geo+json"
FEATURES: dict[int | str, dict[str, Any]] = {
    200: {"description": "GeoJSON features", "content": {GEOJSON: {"schema": {"type": "object"}}}}
}

County = Annotated[
    str,
    Path(pattern="^[0-9]{5}$", description="FIPS code of a county", examples=["08013"]),
]
StateInPath = Annotated[
    str, Path(pattern="^[A-Z]{2}$", description="Postal code of a state", examples=["CO"])
]
Weeks = Annotated[int, Query(ge=1, le=520, description="Newest weeks to show")]
State = Annotated[str | None, Query(pattern="^[A-Z]{2}$", description="Postal code, such as CO")]
Latitude = Annotated[float, Query(alias="lat", ge=-90, le=90, description="Degrees, WGS 84")]
Longitude = Annotated[float, Query(alias="lon", ge=-180, le=180, description="Degrees, WGS 84")]


@router.get("/alerts-in-force", summary="Weather alerts in force everywhere")
async def alerts_everywhere(api: TheApi, caller: TheCaller) -> Response:
    """Return each event in force with the counties that it concerns: what a map shows.

    From the landed rows, within seconds of their arrival. An empty list with a fresh source means
    that nothing is in force; ``/sources`` tells the source's state. This is no warning system:
    follow your local authorities.
    """
    visible_collection(api.catalog, "fct_alerts_in_force", caller)
    alerts, newest = await in_force_by_county(
        api.reader, api.settings.starrocks_database, seconds=caller.policy.query_seconds
    )
    body = {
        "alerts": alerts,
        "numberReturned": len(alerts),
        "newestAcceptedAt": json_value(newest, "date-time"),
        **_about(api),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get(
    "/alerts-in-force/county/{fips}",
    summary="Weather alerts in force in a county",
    response_class=Response,
    responses=FEATURES,
)
async def alerts_in_county(api: TheApi, caller: TheCaller, fips: County) -> Response:
    """Return the messages in force in a county as features, the most severe first.

    ``match`` says how a message concerns it: county (it names the county), zone (it names a zone
    with a part in the county), message (the counties of its zone are not known yet, and it names
    the county among all of its areas).
    """
    visible_collection(api.catalog, "fct_alerts_in_force", caller)
    database, seconds = api.settings.starrocks_database, caller.policy.query_seconds
    place = await place_of_county(api.reader, database, fips, seconds=seconds)
    return await _in_force(api, caller, place)


@router.get(
    "/alerts-in-force/point",
    summary="Weather alerts in force at a point",
    response_class=Response,
    responses=FEATURES,
)
async def alerts_at_point(
    api: TheApi, caller: TheCaller, latitude: Latitude, longitude: Longitude
) -> Response:
    """Return the messages in force in the county around a point.

    ``match`` as for a county; ``polygon`` says that the point is inside the message's own polygon.
    """
    visible_collection(api.catalog, "fct_alerts_in_force", caller)
    database, seconds = api.settings.starrocks_database, caller.policy.query_seconds
    place = await place_of_point(api.reader, database, latitude, longitude, seconds=seconds)
    return await _in_force(api, caller, place)


@router.get("/disasters", summary="FEMA declarations by state and year")
async def disasters(
    api: TheApi,
    caller: TheCaller,
    state: State = None,
    start: Annotated[int, Query(alias="from", ge=1953, le=2200, description="First year")] = 1953,
    end: Annotated[int, Query(alias="to", ge=1953, le=2200, description="Last year")] = 2200,
) -> Response:
    """Count declarations and declared areas by state, year of declaration and type."""
    visible_collection(api.catalog, "fct_disaster_declarations", caller)
    statement = statements.disasters(
        api.settings.starrocks_database, date(start, 1, 1), date(end + 1, 1, 1), state
    )
    return await _table(api, caller, statement, {"newest_accepted_at"})


@router.get("/drought/county/{fips}", summary="Drought in a county")
async def drought_in_county(
    api: TheApi, caller: TheCaller, fips: County, weeks: Weeks = 1
) -> Response:
    """Return the US Drought Monitor's classes of a county, newest week first."""
    return await _drought(api, caller, "county_fips", fips, weeks)


@router.get("/drought/state/{state}", summary="Drought in the counties of a state")
async def drought_in_state(
    api: TheApi, caller: TheCaller, state: StateInPath, weeks: Weeks = 1
) -> Response:
    """Return the US Drought Monitor's classes of all counties of a state."""
    return await _drought(api, caller, "state", state, weeks)


@router.get(
    "/weather",
    summary="Observed weather near a point",
    response_class=Response,
    responses=FEATURES,
)
async def weather(
    api: TheApi,
    caller: TheCaller,
    latitude: Latitude,
    longitude: Longitude,
    km: Annotated[float, Query(gt=0, le=500, description="Radius in km")] = 50,
    hours: Annotated[int, Query(ge=1, le=168, description="Newest hours to show")] = 24,
    stations: Annotated[int, Query(ge=1, le=50, description="Most stations to show")] = 5,
) -> Response:
    """Return the nearest active stations and what they measured, newest first."""
    visible_collection(api.catalog, "coagmet_hourly_observations", caller)
    features = await weather_near(
        api.reader,
        api.settings.starrocks_database,
        Point(latitude, longitude),
        km=km,
        hours=hours,
        stations=stations,
        now=api.clock.now(),
        seconds=caller.policy.query_seconds,
    )
    return _features(api, features, {"place": {"longitude": longitude, "latitude": latitude}})


async def _in_force(api: Api, caller: Caller, place: Place) -> Response:
    features = await in_force_at(
        api.reader,
        api.settings.starrocks_database,
        place,
        seconds=caller.policy.query_seconds,
    )
    return _features(api, features, {"place": place.shown()})


async def _drought(api: Api, caller: Caller, column: str, value: str, weeks: int) -> Response:
    visible_collection(api.catalog, "fct_drought_county_week", caller)
    database, seconds = api.settings.starrocks_database, caller.policy.query_seconds
    newest = await api.reader.rows(statements.newest_drought_week(database), seconds=seconds)
    last: date | None = newest[0][0] if newest else None
    since = date.min if last is None else last - timedelta(weeks=weeks - 1)
    statement = statements.drought(database, column, value, since)
    return await _table(api, caller, statement, {"accepted_at"})


async def _table(api: Api, caller: Caller, statement: Statement, instants: set[str]) -> Response:
    rows = await api.reader.rows(statement, seconds=caller.policy.query_seconds)
    shown = [
        {
            name: json_value(value, "date-time" if name in instants else _kind(name))
            for name, value in zip(statement.columns, row, strict=True)
        }
        for row in rows
    ]
    body = {"rows": shown, "numberReturned": len(shown), **_about(api)}
    return Response(msgspec.json.encode(body), media_type="application/json")


def _kind(name: str) -> str:
    return "boolean" if name.startswith("is_") else "string"


def _features(api: Api, features: list[dict[str, Any]], more: dict[str, Any]) -> Response:
    body = {
        "type": "FeatureCollection",
        "features": features,
        "numberReturned": len(features),
        **more,
        **_about(api),
    }
    return Response(msgspec.json.encode(body), media_type=GEOJSON)


def _about(api: Api) -> dict[str, Any]:
    return {"answeredAt": api.clock.now(), "isSimulated": api.is_simulated}
