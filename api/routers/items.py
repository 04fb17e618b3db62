"""Items of a collection, and one item by its key."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.access.visibility import row_scope, visible_collection
from api.context import TheApi, TheCaller
from api.formats.features import feature
from api.links import base_url, item_path, link
from api.problems import Problem
from api.query.model import Filter, ItemsQuery, Order
from api.query.statement import items_statement

router = APIRouter(tags=["items"])
GEOJSON = "application/geo+json"


@router.get("/collections/{collection_id}/items", summary="Items of a collection")
async def items(
    collection_id: str,
    request: Request,
    api: TheApi,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Response:
    """Return a page of items."""
    collection = visible_collection(api.catalog, collection_id, caller)
    order = tuple(Order(name) for name in collection.key)
    query = ItemsQuery(collection, order=order, limit=min(limit, caller.policy.rows_per_page))
    statement = items_statement(query, row_scope(collection, caller))
    rows = await api.reader.rows(statement, seconds=caller.policy.query_seconds)
    shown = [feature(collection, statement.columns, row) for row in rows[: query.limit]]
    body: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": shown,
        "numberReturned": len(shown),
        "links": [link(str(request.url), "self", GEOJSON)],
    }
    return Response(msgspec.json.encode(body), media_type=GEOJSON)


@router.get("/collections/{collection_id}/items/{key:path}", summary="One item")
async def item(
    collection_id: str, key: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Return one item by its key, the collection's key fields joined by ``|``."""
    collection = visible_collection(api.catalog, collection_id, caller)
    if not collection.is_dataset:
        raise Problem("not-found", f"items of {collection.id} are not served by key yet")
    query = ItemsQuery(collection, filters=(Filter("record_key", "=", (key,)),), limit=1)
    statement = items_statement(query, row_scope(collection, caller))
    rows = await api.reader.rows(statement, seconds=caller.policy.query_seconds)
    if not rows:
        raise Problem("not-found", f"{collection.id} has no item with the key {key[:200]!r}")
    body = feature(collection, statement.columns, rows[0])
    here = base_url(request, api.settings) + item_path(collection.id, key)
    body["links"] = [link(here, "self", GEOJSON)]
    return Response(msgspec.json.encode(body), media_type=GEOJSON)
