"""ASGI layer: HEAD on all that can be read, OPTIONS, and what a path's ``Allow`` says.

Behind it a HEAD is a GET, so its headers are those that the GET would have (RFC 9110, section
9.3.2). Routes whose answers are streams ask ``is_head`` and begin none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.usage.notes import notes_of

HEAD = "is_head"
_FOUND = ("route", "path_params")
"""What routing writes into a scope; the usage reads it."""


class Methods:
    """Answers HEAD by what GET answers, without its body; OPTIONS by what the path allows."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        method = scope["method"] if scope["type"] == "http" else None
        if method == "HEAD":
            await self._head(scope, receive, send)
        elif method == "OPTIONS" and (allowed := allowed_methods(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope.setdefault("state", {})[HEAD] = True
        inner = {**scope, "method": "GET"}
        try:
            await self._app(inner, receive, without_body)
        finally:
            scope.update({name: inner[name] for name in _FOUND if name in inner})
            notes_of(scope).rows = 0


def is_head(request: HTTPConnection) -> bool:
    """Whether only the headers of an answer are asked for."""
    return HEAD in request.scope.get("state", {})


def without_body(headers: Mapping[str, str]) -> Response:
    """Return the headers of an answer whose length is only known when it was made."""
    answer = Response(headers=dict(headers))
    del answer.headers["content-length"]
    return answer


def allowed_methods(scope: Scope) -> str:
    """Return the methods of a path for ``Allow``; empty where there is nothing."""
    found: set[str] = set()
    routes: list[Any] = scope["app"].routes
    for route in routes:
        if scope["type"] == "http" and route.matches(scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    if "GET" in found:
        found.add("HEAD")
    return ", ".join(sorted({*found, "OPTIONS"})) if found else ""
