"""Collections and what can be asked of them: OGC API - Features, Part 1."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from api.access.caller import Caller
from api.access.visibility import row_scope, view_key, visible, visible_collection
from api.catalog.model import Collection
from api.context import Api, TheApi, TheCaller
from api.formats.model import instant_text
from api.formats.negotiate import formats_of
from api.links import base_url, link
from api.problems import documented
from api.query.extents import Extent
from api.query.parameters import CRS84, only
from api.query.schema import MEDIA_TYPE as SCHEMA_TYPE

router = APIRouter(tags=["collections"])
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"


@router.get("/collections", summary="All collections", responses=documented("bad-parameter"))
async def collections(request: Request, api: TheApi, caller: TheCaller) -> dict[str, Any]:
    """List what the caller may read."""
    only(request.query_params.multi_items(), ("f",))
    base = base_url(request, api.settings)
    seen = list(visible(api.catalog, caller))
    extents = await asyncio.gather(*(_extent(api, one, caller) for one in seen))
    return {
        "links": [link(f"{base}/collections", "self")],
        "collections": [
            described(one, base, extent) for one, extent in zip(seen, extents, strict=True)
        ],
    }


@router.get(
    "/collections/{collection_id}",
    summary="One collection",
    responses=documented("bad-parameter", "not-found"),
)
async def collection(
    collection_id: str, request: Request, api: TheApi, caller: TheCaller
) -> dict[str, Any]:
    """Describe one collection: where and when its items are, and what leads to them."""
    only(request.query_params.multi_items(), ("f",))
    found = visible_collection(api.catalog, collection_id, caller)
    extent = await _extent(api, found, caller)
    return described(found, base_url(request, api.settings), extent)


async def _extent(api: Api, one: Collection, caller: Caller) -> Extent:
    scope, view = row_scope(one, caller), view_key(one, caller)
    return await api.extents.of(api.reader.rows, one, scope, view, api.clock.now())


def described(one: Collection, base: str, extent: Extent) -> dict[str, Any]:
    """Return a collection as OGC API - Features describes it."""
    here = f"{base}/collections/{one.id}"
    about: dict[str, Any] = {
        "id": one.id,
        "title": one.title,
        "description": one.description,
        "license": one.terms,
        "itemType": "feature",
        "crs": [CRS84],
        "keywords": [one.domain],
        "links": [
            link(here, "self"),
            *(
                link(f"{here}/items?f={form.name}", "items", form.media_types[0], form.title)
                for form in formats_of(one)
            ),
            link(f"{here}/queryables", QUERYABLES, SCHEMA_TYPE, "What can be asked"),
            link(f"{here}/schema", "describedby", SCHEMA_TYPE, "What items are"),
        ],
    }
    if made := _extent_members(extent):
        about["extent"] = made
    if one.geometry is not None:
        about["storageCrs"] = CRS84
    return about


def _extent_members(extent: Extent) -> dict[str, Any]:
    made: dict[str, Any] = {}
    box = extent.box
    if box is not None:
        made["spatial"] = {"bbox": [[box.west, box.south, box.east, box.north]], "crs": CRS84}
    if extent.start is not None:
        end = None if extent.end is None else instant_text(extent.end)
        made["temporal"] = {"interval": [[instant_text(extent.start), end]], "trs": GREGORIAN}
    return made
