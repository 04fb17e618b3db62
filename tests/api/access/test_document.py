"""The OpenAPI document says of every operation who may ask, and what a wrong key gets."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from fastapi import FastAPI

import api.routers
from api.access.document import described
from api.access.gate import OPEN

pytestmark = pytest.mark.integration  # no server, but the document of all routes takes a second
METHODS = {"get", "head", "post", "put", "patch", "delete"}


def application() -> FastAPI:
    app = FastAPI()
    for info in pkgutil.iter_modules(api.routers.__path__):
        app.include_router(importlib.import_module(f"api.routers.{info.name}").router)
    app.openapi = described(app)  # type: ignore[method-assign]
    return app


def test_every_operation_says_who_may_ask_and_what_a_wrong_key_gets() -> None:
    app = application()
    document = app.openapi()
    assert app.openapi() is document
    assert document["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"
    found = {
        (path, method): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS and path not in OPEN
    }
    assert len(found) > 30
    for where, operation in found.items():
        assert "401" in operation["responses"], where
        assert {"bearer": []} in operation["security"], where
    optional = found["/collections", "get"]["security"]
    assert {} in optional
    assert {} not in found["/organizations", "get"]["security"]
    assert "security" not in document["paths"]["/health"]["get"]
