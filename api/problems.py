"""Errors as problem documents (RFC 9457): a stable type, what was wrong, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.methods import allowed_methods
from emdata.errors import EmdataError, StateUnavailable, WarehouseError, WarehouseUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
METHOD_NOT_ALLOWED = 405
UNREADABLE_BODY = "There was an error parsing the body"
"""FastAPI's words, with 400, for a body whose bytes are no text; one that is no JSON gets 422."""
TYPES: dict[str, tuple[int, str]] = {
    "bad-parameter": (400, "A parameter cannot be used"),
    "bad-body": (422, "The body cannot be used"),
    "unauthorized": (401, "Credentials are missing or not valid"),
    "forbidden": (403, "Not allowed"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This method is not served here"),
    "not-acceptable": (406, "None of the accepted formats is served here"),
    "too-slow": (408, "The request took too long to arrive"),
    "conflict": (409, "This conflicts with what is there"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body's media type is not read here"),
    "bad-range": (416, "The range lies outside of the file"),
    "headers-too-large": (431, "The headers are too large"),
    "too-many-requests": (429, "Too many requests"),
    "too-expensive": (400, "The query costs too much"),
    "timed-out": (503, "The query took too long"),
    "not-built": (503, "This is not built yet"),
    "unavailable": (503, "A part of the platform cannot be reached"),
    "internal": (500, "An error of ours"),
}
"""Type -> status and title. The type's address is ``/problems/<type>``."""


class Problem(Exception):
    """An answer that is an error; ``extra`` becomes members of the document.

    ``kind`` is one of TYPES. ``detail`` says what, where, which value, what is allowed.
    """

    def __init__(
        self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extra = kind, detail, extra
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TYPES[self.kind][0]

    def response(self) -> Response:
        """Return the answer."""
        status, title = TYPES[self.kind]
        body = {
            "type": f"/problems/{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail,
            **self.extra,
        }
        content = msgspec.json.encode(body)
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(content, status, headers, media_type=MEDIA_TYPE)


def bad_parameter(name: str, value: object, allowed: str) -> Problem:
    """Return the problem of a query parameter; the value is shown cut to 200 characters."""
    shown = str(value)
    shown = shown if len(shown) <= 200 else shown[:197] + "..."
    return Problem(
        "bad-parameter",
        f"{name}: {shown!r} cannot be used; allowed: {allowed}",
        parameter=name,
        value=shown,
        allowed=allowed,
    )


_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, and what is allowed"},
    },
}


def documented(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route's ``responses=`` says of problems that it can answer with."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title = TYPES[kind]
        example = {"type": f"/problems/{kind}", "title": title, "status": status, "detail": "..."}
        found = by_status.setdefault(
            status,
            {"description": title, "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": {}}}},
        )
        found["content"][MEDIA_TYPE]["examples"][kind] = {"value": example}
        if title not in found["description"]:
            found["description"] += f"; {title.lower()}"
    return by_status


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(EmdataError, _emdata)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return error.response()


async def _emdata(_request: Request, error: Exception) -> Response:
    if isinstance(error, WarehouseUnavailable | StateUnavailable):
        log.warning("api_dependency_away", error=str(error)[:300])
        what = "StarRocks" if isinstance(error, WarehouseUnavailable) else "PostgreSQL"
        detail = f"{what} does not answer at the moment; ask again in some seconds"
        return Problem("unavailable", detail, headers={"Retry-After": "5"}).response()
    if isinstance(error, WarehouseError):
        # The text may name tables and columns that the caller does not know of.
        log.error("api_statement_refused", error=str(error)[:1000])
    else:
        log.error("api_error", code=getattr(error, "code", ""), error=str(error)[:1000])
    return Problem("internal", "the request could not be answered; it was logged").response()


async def _validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    errors = [
        {"where": ".".join(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()[:20]
    ]
    first = errors[0]
    kind = "bad-body" if first["where"].startswith("body") else "bad-parameter"
    return Problem(kind, f"{first['where']}: {first['what']}", errors=errors).response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    kinds = {status: kind for kind, (status, _) in reversed(TYPES.items())}
    kind = kinds.get(error.status_code, "bad-parameter" if error.status_code < 500 else "internal")
    if error.detail == UNREADABLE_BODY:
        kind = "bad-body"
    headers, detail = dict(error.headers or {}), str(error.detail)
    if error.status_code == METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed = allowed_methods(request.scope)
        detail = f"{request.method} is not served here; allowed: {allowed}"
    return Problem(kind, detail, headers=headers).response()


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("api_unexpected", path=request.url.path, exc_info=error)
    return Problem("internal", "the request could not be answered; it was logged").response()
