"""Where clients begin: what is here, which standards hold, and the description of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.access.caller import Caller
from api.access.visibility import visible
from api.context import Api, TheApi, TheCaller
from api.description import Descriptions
from api.links import base_url, link
from api.problems import documented
from api.query.parameters import only
from api.web.pages import FRONT, asset

router = APIRouter(tags=["start"])
OPENAPI_TYPE = "application/vnd.oai.openapi+json;version=3.1"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf/"
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    _FEATURES + "1/1.0/conf/core",
    _FEATURES + "1/1.0/conf/geojson",
    _FEATURES + "3/1.0/conf/queryables",
    _FEATURES + "3/1.0/conf/filter",
    _FEATURES + "3/1.0/conf/features-filter",
    _CQL2 + "cql2-text",
    _CQL2 + "cql2-json",
    _CQL2 + "basic-cql2",
    _CQL2 + "advanced-comparison-operators",
)
"""What holds. Not ``oas30``: the description is OpenAPI 3.1, for which there is no class yet."""


def landing_document(request: Request, api: TheApi) -> dict[str, Any]:
    """Return the landing page as JSON."""
    base = base_url(request, api.settings)
    return {
        "title": request.app.title,
        "description": " ".join(request.app.description.split()),
        "isSimulated": api.is_simulated,
        "links": [
            link(f"{base}/", "self", title="This document"),
            link(f"{base}/api", "service-desc", OPENAPI_TYPE, "Description of the API"),
            link(f"{base}/docs", "service-doc", "text/html", "Documentation"),
            link(f"{base}/?f=html", "alternate", "text/html", "The front page"),
            link(f"{base}/conformance", "conformance", title="Standards that hold"),
            link(f"{base}/collections", "data", title="All collections"),
        ],
    }


@router.get(
    "/",
    summary="What is here",
    response_model=dict[str, Any],
    responses={
        200: {"description": "JSON, or the front page for browsers", "content": {"text/html": {}}},
        **documented("bad-parameter"),
    },
)
async def landing(request: Request, api: TheApi) -> Response:
    """Say what this is, whether its data are simulated, and where to go on; ``f=html``: a page."""
    form = request.query_params.get("f")
    if form == "html" or (form is None and "text/html" in request.headers.get("accept", "")):
        answer = await asset(request, api, FRONT)
    else:
        only(request.query_params.multi_items(), ("f",))
        answer = JSONResponse(landing_document(request, api))
    answer.headers["Vary"] = "Accept"
    return answer


@router.get("/conformance", summary="Standards that hold", responses=documented("bad-parameter"))
async def conformance(request: Request) -> dict[str, list[str]]:
    """List the conformance classes of OGC API that hold."""
    only(request.query_params.multi_items(), ("f",))
    return {"conformsTo": list(CONFORMANCE)}


@router.get(
    "/api",
    summary="Description of the API",
    response_class=Response,
    responses={200: {"description": "OpenAPI 3.1", "content": {OPENAPI_TYPE: {}}}},
)
async def description(request: Request, api: TheApi, caller: TheCaller) -> Response:
    """Return this description, as `/openapi.json` does, with the collections that you may read."""
    return Response(_description(request, api, caller), media_type=OPENAPI_TYPE)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, api: TheApi, caller: TheCaller) -> Response:
    """Return the description where generators of clients look for it."""
    return Response(_description(request, api, caller), media_type="application/json")


def _description(request: Request, api: Api, caller: Caller) -> bytes:
    descriptions: Descriptions = request.app.state.descriptions
    return descriptions.of(list(visible(api.catalog, caller)))
