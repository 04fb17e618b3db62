"""Keys of one's own organization, and who one is to this API."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.access.bodies import NewKeyBody, PublicKeyBody, RotateBody, key_shown, policy_shown
from api.access.caller import ADMIN, READ, Caller
from api.access.network import client_address, network_of
from api.access.require import KeysCaller
from api.context import Api, TheApi, TheCaller
from api.parameters import NoOtherParameters
from api.problems import Problem, documented
from emdata.state.api_keys import (
    PUBLIC_NAMES,
    Made,
    NewKey,
    TooManyKeys,
    count_sign_up,
    forget_public,
    keys_of,
    make_key,
    make_key_in,
    revoke_key,
    rotate_key,
)
from emdata.state.changes import Change
from emdata.state.database import transaction
from emdata.state.organizations import NewOrganization, add_organization_in

router = APIRouter(tags=["keys"], dependencies=[NoOtherParameters])
KeyId = Annotated[str, Path(description="The part of a key between `emdata_` and the next `_`")]
_SEEN_ONCE = {"Cache-Control": "no-store"}
_KEY = {
    "id": "abcdefghijkl",
    "label": "drought dashboard",
    "organization": "county-lab",
    "scopes": ["read"],
    "networks": [],
    "createdAt": "2026-11-21T09:00:00.000000Z",
    "createdBy": "county-lab/key:mnopqrstuvwx",
    "expiresAt": "2027-02-19T09:00:00.000000Z",
    "revokedAt": None,
    "lastUsedOn": None,
    "rotatedFrom": None,
}
_MADE: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "The key; `token` is shown this once",
        "content": {
            "application/json": {"example": {"token": "emdata_abcdefghijkl_...", "key": _KEY}}
        },
    }
}


@router.get(
    "/me",
    summary="Who you are to this API",
    responses={**documented("unauthorized")},
)
def me(caller: TheCaller, response: Response) -> dict[str, Any]:
    """Say whose key or token came, what it may, and the limits of its class."""
    response.headers["Cache-Control"] = "no-store"
    return {
        "organization": caller.organization,
        "organizationClass": caller.organization_class,
        "isAnonymous": caller.is_anonymous,
        "scopes": sorted(caller.scopes),
        "tenants": sorted(caller.tenants),
        "key": caller.key_id,
        "limits": policy_shown(caller.policy),
    }


@router.get(
    "/keys",
    summary="The keys of your organization",
    responses={
        200: {"content": {"application/json": {"example": {"keys": [_KEY]}}}},
        **documented("unauthorized", "forbidden", "unavailable"),
    },
)
def list_keys(api: TheApi, caller: KeysCaller) -> dict[str, Any]:
    """List keys, newest first; secrets are not kept and not shown."""
    return {"keys": [key_shown(key) for key in keys_of(api.engine, caller.organization)]}


@router.post(
    "/keys",
    status_code=201,
    summary="Make a key",
    responses={
        **_MADE,
        **documented("bad-body", "unauthorized", "forbidden", "conflict", "unavailable"),
    },
)
def create_key(
    body: NewKeyBody, api: TheApi, caller: KeysCaller, response: Response
) -> dict[str, Any]:
    """Make a key of your organization with at most what you may yourself."""
    _check_scopes(body, caller)
    _check_networks(body, caller)
    if body.days > api.settings.api_key_days:
        raise Problem("bad-body", f"days: {body.days}; allowed: 1 to {api.settings.api_key_days}")
    change = api.access.change(caller)
    new = NewKey(
        caller.organization,
        body.label,
        frozenset(body.scopes),
        change.now + timedelta(days=body.days),
        tuple(body.networks),
    )
    try:
        made = make_key(api.engine, new, change)
    except TooManyKeys as error:
        raise Problem("conflict", str(error)) from None
    return _shown(api, made, response)


@router.post(
    "/keys/public",
    status_code=201,
    summary="Make a key for yourself",
    responses={**_MADE, **documented("bad-body", "forbidden", "too-many-requests", "unavailable")},
)
def create_public_key(
    body: PublicKeyBody, request: Request, api: TheApi, response: Response
) -> dict[str, Any]:
    """Make a key of the class `public`, without a registration.

    It is an organization of its own with its own limits, may read what anybody may, and ends by
    itself. A network gets some a day; of its address nothing is kept but a hash, for that day.
    """
    settings = api.settings
    if settings.api_sign_ups_per_network == 0:
        raise Problem("forbidden", "keys for anybody are switched off here; ask the operator")
    now = api.clock.now()
    network = network_of(client_address(request.scope, api.access.trusted))
    hashed = hmac.new(api.access.key, f"{now.date()}|{network}".encode(), hashlib.sha256).digest()
    change = Change("anonymous", now, api.access.key)
    try:
        with transaction(api.engine) as connection:
            count_sign_up(
                connection,
                hashed,
                now=now,
                most=settings.api_sign_ups_per_network,
                most_together=settings.api_sign_ups,
            )
            forget_public(connection, now)
            digest = hashlib.sha256(hashed + now.isoformat().encode()).hexdigest()
            name = f"{PUBLIC_NAMES}{digest[:16]}"
            add_organization_in(connection, NewOrganization(name, body.label, "public"), change)
            expires = now + timedelta(days=settings.api_public_key_days)
            made = make_key_in(
                connection, NewKey(name, body.label, frozenset({READ}), expires), change
            )
    except TooManyKeys as error:
        headers = {"Retry-After": str(_seconds_to_midnight(api))}
        raise Problem("too-many-requests", str(error), headers=headers) from None
    return _shown(api, made, response)


@router.post(
    "/keys/{key_id}/rotate",
    status_code=201,
    summary="Replace a key",
    responses={
        **_MADE,
        **documented(
            "bad-body", "unauthorized", "forbidden", "not-found", "conflict", "unavailable"
        ),
    },
)
def rotate(
    key_id: KeyId, body: RotateBody, api: TheApi, caller: KeysCaller, response: Response
) -> dict[str, Any]:
    """Make a key like this one, which goes on for `overlapHours`, so that nothing stops."""
    change = api.access.change(caller)
    _check_known(api, key_id, caller)
    try:
        made = rotate_key(
            api.engine, key_id, caller.organization, timedelta(hours=body.overlap_hours), change
        )
    except LookupError:
        raise _no_key(key_id) from None
    except TooManyKeys as error:
        raise Problem("conflict", str(error)) from None
    return _shown(api, made, response)


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    summary="End a key",
    responses={**documented("unauthorized", "forbidden", "not-found", "unavailable")},
)
def revoke(key_id: KeyId, api: TheApi, caller: KeysCaller) -> Response:
    """End a key of your organization; an administrator may end any. It ends within seconds."""
    owner = None if ADMIN in caller.scopes else caller.organization
    try:
        tail = revoke_key(api.engine, _readable(key_id), owner, api.access.change(caller))
    except LookupError:
        raise _no_key(key_id) from None
    api.access.audit.anchor(tail)
    return Response(status_code=204)


def _check_scopes(body: NewKeyBody, caller: Caller) -> None:
    beyond = sorted(one for one in set(body.scopes) if one not in caller.scopes)
    if beyond:
        raise Problem("forbidden", f"scopes: you do not have {', '.join(beyond)} yourself")


def _check_networks(body: NewKeyBody, caller: Caller) -> None:
    """A key that is limited to networks makes none that is less limited."""
    mine = [ip_network(one) for one in caller.networks]
    if not mine:
        return
    for text in body.networks:
        one = ip_network(text)
        if not any(one.version == own.version and one.subnet_of(own) for own in mine):  # type: ignore[arg-type]
            raise Problem("forbidden", f"networks: {text} is outside of those of your key")
    if not body.networks:
        raise Problem("forbidden", "networks: name some; your own key is limited to networks")


def _check_known(api: Api, key_id: str, caller: Caller) -> None:
    """A key is rotated by one with the same scopes at least."""
    found = [one for one in keys_of(api.engine, caller.organization) if one.prefix == key_id]
    if not found:
        raise _no_key(key_id)
    beyond = sorted(found[0].scopes - caller.scopes)
    if beyond:
        raise Problem("forbidden", f"that key has scopes that you do not: {', '.join(beyond)}")


def _readable(key_id: str) -> str:
    """What no key is named is not asked for; PostgreSQL takes no NUL."""
    if not (key_id.isascii() and key_id.isalnum() and len(key_id) <= 20):
        raise LookupError(key_id)
    return key_id


def _no_key(key_id: str) -> Problem:
    return Problem("not-found", f"your organization has no key {key_id[:40]!r} in force")


def _shown(api: Api, made: Made, response: Response) -> dict[str, Any]:
    api.access.audit.anchor(made.tail)
    response.headers.update(_SEEN_ONCE)
    return {"token": made.token, "key": key_shown(made.key)}


def _seconds_to_midnight(api: Api) -> int:
    now = api.clock.now()
    return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
