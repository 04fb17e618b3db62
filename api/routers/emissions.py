"""Emissions of organizations: the named form of what every submitted dataset offers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from api.access.caller import WRITE
from api.access.require import WritingCaller
from api.access.visibility import visible, visible_collection
from api.catalog.datasets import collection_of
from api.context import TheApi, TheCaller
from api.formats.negotiate import formats_of
from api.links import base_url, item_path
from api.problems import Problem, documented
from api.query.openapi import ITEMS_PARAMETERS, ITEMS_RESPONSES, parameter
from api.routers.items import items
from api.submitting.body import JSON, NDJSON
from api.submitting.model import Form
from api.submitting.submit import submitted
from emdata.contracts.emissions import DECIMALS, MAX_VALUE, NAME_PATTERN, Emission

router = APIRouter(tags=["submitting"])
EMISSIONS = Form(Emission, "camel")
AGGREGATED = "aggregated_emission"
_NAME = {"type": "string", "pattern": NAME_PATTERN.replace(r"\Z", "$")}
_EMISSION = {
    "type": "object",
    "required": ["organizationId", "value"],
    "additionalProperties": False,
    "properties": {
        "organizationId": {**_NAME, "description": "Your organization, or one of your tenants"},
        "emissionId": {**_NAME, "description": "Made by the API where it is left out"},
        "value": {
            "type": "number",
            "minimum": -MAX_VALUE,
            "maximum": MAX_VALUE,
            "description": f"At most {DECIMALS} decimal places",
        },
    },
    "example": {"organizationId": "acme", "value": 12.5},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"oneOf": [_EMISSION, {"type": "array", "items": _EMISSION}]}},
            NDJSON: {"schema": {"type": "string"}},
        },
    }
}
_ITEM = {"type": "object", "description": "Fields of the collection's contract"}
_ITEMS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"oneOf": [_ITEM, {"type": "array", "items": _ITEM}]}},
            NDJSON: {"schema": {"type": "string"}},
        },
    }
}
_PROBLEMS = documented(
    "bad-parameter", "unauthorized", "forbidden", "too-large", "unsupported-media-type",
    "bad-body", "too-many-requests", "unavailable",
)  # fmt: skip
_ANSWER = {
    "accepted": 1,
    "emissionIds": ["0b6ab5b8-56b5-4a0e-9a7e-3f0a2f5c7d11"],
    "keys": ["acme|0b6ab5b8-56b5-4a0e-9a7e-3f0a2f5c7d11"],
    "receivedAt": "2026-11-21T12:00:00.000000Z",
    "isSimulated": False,
}
_TAKEN = {"description": "Safe on disk", "content": {JSON: {"example": _ANSWER}}}
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Names the request: sent again with the same, its items get the same ids",
        min_length=1,
        max_length=200,
    ),
]


_READING = [
    parameter("organization_id", "Of this organization.", {"type": "string"}),
    *(one for one in ITEMS_PARAMETERS if one["name"] in ("limit", "count")),
    parameter(
        "f",
        "Format; wins over `Accept`.",
        {"type": "string", "enum": [one.name for one in formats_of(collection_of(Emission))]},
    ),
]
"""The others are those of the collections' items, and are described there."""


@router.post(
    "/emissions",
    status_code=201,
    summary="Report emissions",
    responses={201: _TAKEN, **_PROBLEMS},
    openapi_extra=_BODY,
)
async def report(
    request: Request,
    response: Response,
    api: TheApi,
    caller: WritingCaller,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Take one emission, an array of them, or one a line; all or none.

    Answered when they are safe on disk. An emission that is sent again under its ``emissionId``
    replaces itself, so a retry counts once and another value corrects the first.
    """
    answer = await submitted(request, api, caller, EMISSIONS, idempotency_key)
    if EMISSIONS.shown("emission_id") in answer:
        path = item_path(Emission.dataset.name, answer["keys"][0])
        response.headers["Location"] = base_url(request, api.settings) + path
    return answer


@router.get(
    "/emissions",
    summary="Reported emissions",
    response_class=Response,
    responses=ITEMS_RESPONSES,
    openapi_extra={"parameters": _READING},
)
async def emissions(request: Request, api: TheApi, caller: TheCaller) -> Response:
    """Return items of the collection ``emission``: the latest version of every emission."""
    return await items(Emission.dataset.name, request, api, caller)


@router.get(
    "/emissions/aggregated",
    summary="Totals by organization and month",
    response_class=Response,
    responses=ITEMS_RESPONSES,
    openapi_extra={"parameters": _READING},
)
async def aggregated(request: Request, api: TheApi, caller: TheCaller) -> Response:
    """Return items of the collection ``aggregated_emission``: exact sums, seconds old.

    ``month`` is the first day of the UTC month in which an emission was first accepted.
    """
    return await items(AGGREGATED, request, api, caller)


@router.post(
    "/collections/{collection_id}/items",
    status_code=201,
    summary="Submit items",
    responses={201: _TAKEN, **_PROBLEMS, **documented("not-found", "method-not-allowed")},
    openapi_extra=_ITEMS_BODY,
)
async def submit(
    collection_id: str,
    request: Request,
    api: TheApi,
    caller: WritingCaller,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Take records of a dataset that organizations submit, in its contract's field names.

    An object, an array, or one object a line; all or none, answered when they are safe on disk.
    """
    collection = visible_collection(api.catalog, collection_id, caller, WRITE)
    record = collection.record
    if record is None or record.dataset.submitted is None:
        taken = ", ".join(
            one.id
            for one in visible(api.catalog, caller)
            if one.record and one.record.dataset.submitted
        )
        raise Problem(
            "method-not-allowed",
            f"{collection.id} takes no items; allowed: {taken}",
            headers={"Allow": "GET, HEAD, OPTIONS"},
        )
    return await submitted(request, api, caller, Form(record), idempotency_key)
