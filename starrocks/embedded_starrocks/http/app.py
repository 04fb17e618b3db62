"""Routes of 8030, authentication, and the small things: health, metrics, the page."""

from __future__ import annotations

import base64
import binascii

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from embedded_starrocks import VERSION
from embedded_starrocks.http import page
from embedded_starrocks.http.loading import LoadRoutes
from embedded_starrocks.mysql.auth import password_matches
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.sql.variables import STARROCKS_VERSION, version_comment
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.store import Store


class Authentication:
    """HTTP basic authentication against the same users as MySQL's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def user(self, request: Request) -> str | None:
        """The user that the request proves to be; None otherwise."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._store.catalog.rights.accounts.get(name)
        if not colon or account is None or not password_matches(account.password_hash, password):
            return None
        return name


def denied() -> Response:
    return JSONResponse(
        {"Status": "Fail", "status": "FAILED", "Message": "Access denied", "msg": "Access denied"},
        status_code=401,
        headers={"WWW-Authenticate": 'Basic realm="embedded StarRocks"'},
    )


def create_app(store: Store, loads: Loads, sessions: Sessions, max_load_bytes: int) -> Starlette:
    """The application of port 8030."""
    authentication = Authentication(store)
    routes = LoadRoutes(store, loads, authentication.user, denied, max_load_bytes)

    async def health(_: Request) -> Response:
        return JSONResponse(
            {
                "status": "OK",
                "product": version_comment(store.banner),
                "version": VERSION,
                "online_backend_num": 1,
                "total_backend_num": 1,
            }
        )

    async def bootstrap(_: Request) -> Response:
        return JSONResponse({"status": "OK", "msg": "Success", "version": STARROCKS_VERSION})

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(page.metrics_text(store, loads, sessions))

    async def home(_: Request) -> Response:
        return HTMLResponse(page.home_page(store, loads, sessions))

    async def details(request: Request) -> Response:
        user = authentication.user(request)
        if user is None:
            return denied()
        return HTMLResponse(page.details_page(store, sessions, user))

    return Starlette(
        routes=[
            Route("/", home, methods=["GET"]),
            Route("/details", details, methods=["GET"]),
            Route("/api/health", health, methods=["GET"]),
            Route("/api/bootstrap", bootstrap, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            *routes.routes(),
        ]
    )
