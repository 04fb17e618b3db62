"""Sending the files of the pages."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.responses import Response

from api.context import Api
from api.formats.ranges import is_known
from api.problems import Problem

FRONT, DOCUMENTATION = "index.html", "docs.html"
CACHE = "public, max-age=300"


async def asset(request: Request, api: Api, name: str) -> Response:
    """Return a file, or 304 to who has it already.

    Raises Problem ``not-found``.
    """
    found = await asyncio.to_thread(api.assets.get, name)
    if found is None:
        raise Problem("not-found", f"the pages have no file {name[:100]!r}")
    headers = {"ETag": found.etag, "Cache-Control": CACHE}
    if is_known(request.headers.getlist("if-none-match"), found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.media_type)
