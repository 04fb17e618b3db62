"""Collections and what can be asked of them: OGC API - Features, Part 1."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from api.access.visibility import visible, visible_collection
from api.catalog.model import Collection
from api.context import TheApi, TheCaller
from api.links import base_url, link

router = APIRouter(tags=["collections"])
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
WORLD = [-180.0, -90.0, 180.0, 90.0]


@router.get("/collections", summary="All collections")
async def collections(request: Request, api: TheApi, caller: TheCaller) -> dict[str, Any]:
    """List what the caller may read."""
    base = base_url(request, api.settings)
    return {
        "links": [link(f"{base}/collections", "self")],
        "collections": [described(one, base) for one in visible(api.catalog, caller)],
    }


@router.get("/collections/{collection_id}", summary="One collection")
async def collection(
    collection_id: str, request: Request, api: TheApi, caller: TheCaller
) -> dict[str, Any]:
    """Describe one collection."""
    found = visible_collection(api.catalog, collection_id, caller)
    return described(found, base_url(request, api.settings))


def described(one: Collection, base: str) -> dict[str, Any]:
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
            link(f"{here}/items", "items", "application/geo+json", one.title),
        ],
    }
    if one.geometry is not None:
        about["extent"] = {"spatial": {"bbox": [WORLD], "crs": CRS84}}
    return about
