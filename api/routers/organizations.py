"""For administrators: organizations, what classes may do, and whose collections are whose."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.access.bodies import (
    NAME,
    NewKeyBody,
    NewOrganizationBody,
    OrganizationChange,
    PolicyChange,
    RevocationBody,
    TenantBody,
    key_shown,
    organization_shown,
    policy_shown,
)
from api.access.caller import OrganizationClass
from api.access.directory import policy_of
from api.access.require import AdminCaller
from api.context import TheApi
from api.parameters import NoOtherParameters
from api.problems import Problem, documented
from emdata.state.access import read_organization, read_rules
from emdata.state.api_keys import NewKey, TooManyKeys, make_key
from emdata.state.organizations import (
    NewOrganization,
    Taken,
    add_organization,
    change_organization,
    change_policy,
    list_organizations,
    list_tenants,
    put_tenant,
    revoke_token,
)

_ADMIN = documented("unauthorized", "forbidden", "unavailable")
router = APIRouter(tags=["administration"], dependencies=[NoOtherParameters], responses={**_ADMIN})
OrganizationId = Annotated[str, Path(pattern=NAME)]
TenantId = Annotated[str, Path(pattern=NAME)]


@router.get("/organizations", summary="Organizations", responses=documented("bad-parameter"))
def organizations(
    api: TheApi,
    caller: AdminCaller,  # noqa: ARG001 - who may ask
    after: Annotated[str, Query(max_length=63, pattern=r"^[a-z0-9_-]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List organizations by id, from beyond `after`."""
    found = list_organizations(api.engine, after, limit)
    return {"organizations": [organization_shown(one) for one in found]}


@router.post(
    "/organizations",
    status_code=201,
    summary="Register an organization",
    responses=documented("bad-body", "conflict"),
)
def register(body: NewOrganizationBody, api: TheApi, caller: AdminCaller) -> dict[str, Any]:
    """Register an organization; its first key is made with `/organizations/{id}/keys`."""
    new = NewOrganization(
        body.id, body.name, body.organization_class, body.contact, frozenset(body.tenants)
    )
    try:
        tail = add_organization(api.engine, new, api.access.change(caller))
    except Taken as error:
        raise Problem("conflict", str(error)) from None
    except LookupError as error:
        raise _no_tenant(error) from None
    api.access.audit.anchor(tail)
    return _organization(api, body.id)


@router.get(
    "/organizations/{organization_id}",
    summary="One organization",
    responses=documented("bad-parameter", "not-found"),
)
def organization(
    organization_id: OrganizationId,
    api: TheApi,
    caller: AdminCaller,  # noqa: ARG001 - who may ask
) -> dict[str, Any]:
    """Return an organization."""
    return _organization(api, organization_id)


@router.patch(
    "/organizations/{organization_id}",
    summary="Change an organization",
    responses=documented("bad-body", "bad-parameter", "not-found"),
)
def change(
    organization_id: OrganizationId, body: OrganizationChange, api: TheApi, caller: AdminCaller
) -> dict[str, Any]:
    """Change what is named; every process knows within seconds."""
    values = body.model_dump(exclude_none=True)
    memberships = values.pop("tenants", None)
    _refuse_nothing(values or memberships is not None)
    if read_organization(api.engine, organization_id) is None:
        raise _no_organization(organization_id)
    try:
        found, tail = change_organization(
            api.engine, organization_id, values, memberships, api.access.change(caller)
        )
    except LookupError as error:
        raise _no_tenant(error) from None
    api.access.audit.anchor(tail)
    return organization_shown(found)


@router.post(
    "/organizations/{organization_id}/keys",
    status_code=201,
    summary="Make a key of an organization",
    responses=documented("bad-body", "bad-parameter", "not-found", "conflict"),
)
def make_first_key(
    organization_id: OrganizationId,
    body: NewKeyBody,
    api: TheApi,
    caller: AdminCaller,
    response: Response,
) -> dict[str, Any]:
    """Make a key with any scopes; with `keys`, the organization makes the next ones itself."""
    if body.days > api.settings.api_key_days:
        raise Problem("bad-body", f"days: {body.days}; allowed: 1 to {api.settings.api_key_days}")
    made_by = api.access.change(caller)
    new = NewKey(
        organization_id,
        body.label,
        frozenset(body.scopes),
        made_by.now + timedelta(days=body.days),
        tuple(body.networks),
    )
    try:
        made = make_key(api.engine, new, made_by)
    except LookupError:
        raise _no_organization(organization_id) from None
    except TooManyKeys as error:
        raise Problem("conflict", str(error)) from None
    api.access.audit.anchor(made.tail)
    response.headers["Cache-Control"] = "no-store"
    return {"token": made.token, "key": key_shown(made.key)}


@router.get("/policies", summary="What each class may do")
def policies(api: TheApi, caller: AdminCaller) -> dict[str, Any]:  # noqa: ARG001 - who may ask
    """Return limits by class."""
    rules = read_rules(api.engine, api.clock.now())
    return {name: policy_shown(policy_of(row)) for name, row in sorted(rules.policies.items())}


@router.patch(
    "/policies/{organization_class}",
    summary="Change what a class may do",
    responses=documented("bad-body", "bad-parameter"),
)
def change_class(
    organization_class: OrganizationClass, body: PolicyChange, api: TheApi, caller: AdminCaller
) -> dict[str, Any]:
    """Change what is named, for every process within seconds."""
    values = body.model_dump(exclude_none=True)
    _refuse_nothing(values)
    api.access.audit.anchor(
        change_policy(api.engine, organization_class, values, api.access.change(caller))
    )
    row = read_rules(api.engine, api.clock.now()).policies[organization_class]
    return policy_shown(policy_of(row))


@router.get("/tenants", summary="Tenants and what belongs to them")
def tenants(api: TheApi, caller: AdminCaller) -> dict[str, Any]:  # noqa: ARG001 - who may ask
    """List tenants; what a contract or model declares as a tenant's own is not repeated here."""
    return {"tenants": list_tenants(api.engine)}


@router.put(
    "/tenants/{tenant_id}",
    summary="Make or change a tenant",
    responses=documented("bad-body", "bad-parameter", "conflict"),
)
def tenant(
    tenant_id: TenantId, body: TenantBody, api: TheApi, caller: AdminCaller
) -> dict[str, Any]:
    """Say which collections only the organizations of this tenant see."""
    unknown = sorted(one for one in body.collections if api.catalog.get(one) is None)
    if unknown:
        raise Problem("bad-body", f"collections: {', '.join(unknown)} are not there")
    collections = sorted(set(body.collections))
    try:
        tail = put_tenant(api.engine, tenant_id, body.title, collections, api.access.change(caller))
    except Taken as error:
        raise Problem("conflict", str(error)) from None
    api.access.audit.anchor(tail)
    return {"id": tenant_id, "title": body.title, "collections": collections}


@router.post(
    "/revocations",
    status_code=204,
    summary="Refuse a token from now on",
    responses=documented("bad-body"),
)
def refuse(body: RevocationBody, api: TheApi, caller: AdminCaller) -> Response:
    """Refuse one token, or all of a subject issued until now, for as long as they could live."""
    by = api.access.change(caller)
    settings = api.settings
    life = settings.api_jwt_lifetime_seconds + 2 * settings.api_jwt_leeway_seconds
    until = by.now + timedelta(seconds=life)
    api.access.audit.anchor(revoke_token(api.engine, body.claim, body.value, until, by))
    return Response(status_code=204)


def _organization(api: TheApi, name: str) -> dict[str, Any]:
    found = read_organization(api.engine, name)
    if found is None:
        raise _no_organization(name)
    return organization_shown(found)


def _refuse_nothing(changes: object) -> None:
    if not changes:
        raise Problem("bad-body", "name at least one member that is to change")


def _no_organization(name: str) -> Problem:
    return Problem("not-found", f"organization {name!r} is not there")


def _no_tenant(error: LookupError) -> Problem:
    return Problem("bad-body", f"tenants: {error} are not there; make them with PUT /tenants/...")
