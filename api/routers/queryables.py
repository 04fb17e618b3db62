"""What can be asked of a collection, and what its items are: JSON Schema."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access.visibility import visible_collection
from api.context import TheApi, TheCaller
from api.links import base_url
from api.problems import documented
from api.query.parameters import only
from api.query.schema import MEDIA_TYPE, queryables, schema

router = APIRouter(tags=["collections"])
_RESPONSES = {
    200: {"description": "A JSON Schema", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
    **documented("bad-parameter", "not-found"),
}


@router.get(
    "/collections/{collection_id}/queryables",
    summary="What can be asked",
    response_class=Response,
    responses=_RESPONSES,
)
async def queryables_of(
    collection_id: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Describe the properties that filters, ``sortby`` and CQL2 may name."""
    only(request.query_params.multi_items(), ("f",))
    collection = visible_collection(api.catalog, collection_id, caller)
    address = f"{base_url(request, api.settings)}/collections/{collection.id}/queryables"
    return _answer(queryables(collection, address))


@router.get(
    "/collections/{collection_id}/schema",
    summary="What items are",
    response_class=Response,
    responses=_RESPONSES,
)
async def schema_of(
    collection_id: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Describe the properties of a feature, with units."""
    only(request.query_params.multi_items(), ("f",))
    collection = visible_collection(api.catalog, collection_id, caller)
    address = f"{base_url(request, api.settings)}/collections/{collection.id}/schema"
    return _answer(schema(collection, address))


def _answer(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type=MEDIA_TYPE)
