"""What the OpenAPI document says of every route about who asks, added to what routes say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from api.access.gate import OPEN
from api.access.require import SCHEMES
from api.problems import documented

_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete"})
# Nobody needs a key to read; whoever sends one gets what is theirs.
_OPTIONAL: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"apiKey": []}]


def described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return the application's ``openapi`` with credentials and their refusal on each operation."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe(plain())
        return plain()

    return openapi


def _describe(document: dict[str, Any]) -> None:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    for name, scheme in SCHEMES.items():
        schemes.setdefault(name, scheme.model.model_dump(by_alias=True, exclude_none=True))
    refused = {str(status): said for status, said in documented("unauthorized").items()}
    for path, operations in document["paths"].items():
        if path in OPEN:
            continue
        for method, operation in operations.items():
            if method in _METHODS:
                operation.setdefault("security", _OPTIONAL)
                operation["responses"] = {**refused, **operation["responses"]}
