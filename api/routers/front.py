"""The pages that people open, and their files."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.context import TheApi
from api.web.pages import DOCUMENTATION, asset

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def documentation(request: Request, api: TheApi) -> Response:
    """Show the description of the API as a page to try it out."""
    return await asset(request, api, DOCUMENTATION)


@router.get("/assets/{name}")
async def file(name: str, request: Request, api: TheApi) -> Response:
    """Send a file of the pages."""
    return await asset(request, api, name)
