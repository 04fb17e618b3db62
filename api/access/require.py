"""What a route asks of its caller, declared where it stands and shown in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from api.access.caller import ADMIN, KEYS, WRITE, Caller
from api.access.identity import CHALLENGE
from api.context import TheCaller
from api.problems import Problem

_BEARER = HTTPBearer(
    scheme_name="bearer",
    description="An API key (`emdata_...`), or a token of the issuer that the operator chose.",
    auto_error=False,
)
_KEY = APIKeyHeader(
    name="X-API-Key", scheme_name="apiKey", description="An API key.", auto_error=False
)
SCHEMES = {"bearer": _BEARER, "apiKey": _KEY}
"""The ways to say who asks, by their names in the OpenAPI document."""


def require(scope: str) -> Callable[..., Caller]:
    """Return the dependency that lets callers with a scope through.

    It raises Problem ``unauthorized`` for nobody and ``forbidden`` for a key or token without it.
    """

    def check(
        caller: TheCaller,
        _bearer: Annotated[object, Security(_BEARER)],
        _key: Annotated[object, Security(_KEY)],
    ) -> Caller:
        if caller.is_anonymous:
            detail = f"this needs a key or token with the scope {scope}"
            raise Problem("unauthorized", detail, headers=CHALLENGE)
        if scope not in caller.scopes:
            detail = f"this needs a key or token with the scope {scope}"
            raise Problem("forbidden", detail, scope=scope)
        return caller

    return check


WritingCaller = Annotated[Caller, Depends(require(WRITE))]
KeysCaller = Annotated[Caller, Depends(require(KEYS))]
AdminCaller = Annotated[Caller, Depends(require(ADMIN))]
