"""How much of the API an organization used: for itself, and for the operator of all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.access.caller import ADMIN, READ, Caller
from api.access.require import AdminCaller, require
from api.access.visibility import visible_collection
from api.context import Api, TheApi
from api.problems import Problem, bad_parameter, documented
from api.usage.chart import usage_chart
from api.usage.notes import note
from api.usage.statement import usage_statement

router = APIRouter(prefix="/usage", tags=["usage"])
DAYS = 30
MOST_DAYS = 366
EVERYBODY = "*"
EXAMPLE = {
    "organization": "county-office",
    "from": "2026-11-01",
    "to": "2026-11-21",
    "days": [
        {
            "counted_on": "2026-11-20",
            "organization": "county-office",
            "collection": "nws_alerts",
            "format": "geojson",
            "requests": 120,
            "requests_refused": 3,
            "requests_failed": 0,
            "rows_sent": 11800,
            "bytes_sent": 7340032,
            "seconds_mean": 0.021,
            "seconds_max": 0.34,
        }
    ],
    "newestAcceptedAt": "2026-11-20T23:59:12Z",
    "isSimulated": False,
}
DATASET = "api_usage"
ReadingCaller = Annotated[Caller, Depends(require(READ))]
_DOCUMENTED = documented("bad-parameter", "unauthorized", "forbidden", "too-many-requests")


@dataclass(frozen=True)
class Days:
    """The days that are asked for, both included."""

    first: date
    last: date


def _days(
    api: TheApi,
    first: Annotated[
        date | None, Query(alias="from", description="First UTC day; default: 30 days ago")
    ] = None,
    last: Annotated[
        date | None, Query(alias="to", description="Last UTC day; default: today")
    ] = None,
) -> Days:
    today = api.clock.now().astimezone(UTC).date()
    last = last or today
    first = first or last - timedelta(days=DAYS - 1)
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise bad_parameter("from", first, f"a day up to {MOST_DAYS - 1} days before to={last}")
    return Days(first, last)


TheDays = Annotated[Days, Depends(_days)]


def _only(request: Request, *allowed: str) -> None:
    unknown = sorted(set(request.query_params) - set(allowed))
    if unknown:
        raise bad_parameter(unknown[0], request.query_params[unknown[0]], ", ".join(allowed))


@router.get(
    "",
    summary="What an organization used, by day",
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}, **_DOCUMENTED},
)
async def usage(
    request: Request,
    api: TheApi,
    caller: ReadingCaller,
    days: TheDays,
    organization: Annotated[
        str | None, Query(max_length=128, description="Another one, or *: for operators only")
    ] = None,
) -> Response:
    """Count requests, rows, bytes and seconds by day, collection and format.

    The newest requests are there within about a minute. Requests are counted under the organization
    of their key or token; where they came from is not kept.
    """
    _only(request, "from", "to", "organization")
    asked = organization or caller.organization
    if asked != caller.organization and ADMIN not in caller.scopes:
        detail = f"usage of {asked!r} needs a key or token with the scope {ADMIN}"
        raise Problem("forbidden", detail, scope=ADMIN)
    if asked != caller.organization:
        visible_collection(api.catalog, DATASET, caller)  # for the audit log
    rows = await _rows(
        api, days, None if asked == EVERYBODY else asked, caller.policy.query_seconds
    )
    note(request, rows=len(rows), collection=DATASET)
    newest = max((row["newest_accepted_at"] for row in rows), default=None)
    body = {
        "organization": asked,
        "from": days.first,
        "to": days.last,
        "days": [{k: v for k, v in row.items() if k != "newest_accepted_at"} for row in rows],
        "newestAcceptedAt": _utc(newest),
        "isSimulated": api.is_simulated,
    }
    headers = {"Cache-Control": "no-store", "Emdata-Simulated": str(api.is_simulated).lower()}
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")


@router.get(
    "/chart",
    summary="Requests by day as a picture, for operators",
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}},
        **_DOCUMENTED,
    },
)
async def chart(request: Request, api: TheApi, caller: AdminCaller, days: TheDays) -> Response:
    """Draw all organizations' requests by day: answered, refused (4xx) and failed (5xx)."""
    _only(request, "from", "to")
    visible_collection(api.catalog, DATASET, caller)
    rows = await _rows(api, days, None, caller.policy.query_seconds)
    note(request, collection=DATASET)
    counts: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        refused, failed = row["requests_refused"], row["requests_failed"]
        fine = row["requests"] - refused - failed
        counts[row["counted_on"]] = [
            a + b for a, b in zip(counts[row["counted_on"]], (fine, refused, failed), strict=True)
        ]
    title = "Requests by day" + (" (simulated platform)" if api.is_simulated else "")
    picture = usage_chart(counts, days.first, days.last, title)
    return Response(picture, headers={"Cache-Control": "no-store"}, media_type="image/svg+xml")


async def _rows(
    api: Api, days: Days, organization: str | None, seconds: float
) -> list[dict[str, Any]]:
    statement = usage_statement(days.first, days.last, organization)
    rows = await api.reader.rows(statement, seconds=seconds)
    found = [dict(zip(statement.columns, row, strict=True)) for row in rows]
    for row in found:
        for name in ("requests", "requests_refused", "requests_failed", "rows_sent", "bytes_sent"):
            row[name] = int(row[name])  # SUM of BIGINT is wider than the column
    return found


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
