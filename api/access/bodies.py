"""Bodies of the administration: what may be said, and nothing else (``extra="forbid"``)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.access.caller import ANONYMOUS, OrganizationClass, Policy
from emdata.contracts.identity import utc_text
from emdata.state.access import Key, Organization

# No line breaks, no control characters, no separators that some programs take for one.
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Line = Annotated[str, Field(max_length=200, pattern=LINE)]
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=LINE)]
Name = Annotated[str, Field(pattern=NAME)]
Scope = Literal["read", "write", "keys", "admin"]
_RESERVED = frozenset({ANONYMOUS})


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("a network such as 192.0.2.0/24 or 2001:db8::/32") from None


def _unreserved(name: str) -> str:
    if name in _RESERVED or name.startswith("public-"):
        raise ValueError("a name that is not reserved")
    return name


Networks = Annotated[
    list[Annotated[str, Field(max_length=50), AfterValidator(_network)]], Field(max_length=20)
]


class Body(BaseModel):
    """What a caller sends; names in camelCase."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, validate_by_name=False, validate_by_alias=True
    )


class NewKeyBody(Body):
    """A key of one's own organization."""

    label: Label = Field(description="What it is for", examples=["drought dashboard"])
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = Field(
        ["read"], description="At most those of the key or token that makes it"
    )
    days: int = Field(90, ge=1, le=3650, description="Its life")
    networks: Networks = Field(
        [], description="Networks that it may be used from; empty: everywhere"
    )


class PublicKeyBody(Body):
    """A key for anybody."""

    label: Label = Field(description="What it is for", examples=["class project"])


class RotateBody(Body):
    """How long the key before goes on."""

    overlap_hours: int = Field(24, ge=0, le=720, description="0: the old key ends at once")


class NewOrganizationBody(Body):
    """An organization."""

    id: Annotated[Name, AfterValidator(_unreserved)] = Field(examples=["county-lab"])
    name: Label = Field(examples=["County Laboratory"])
    organization_class: OrganizationClass
    contact: Line = ""
    tenants: Annotated[list[Name], Field(max_length=100)] = []


class OrganizationChange(Body):
    """What is to change; what is left out stays."""

    name: Label | None = None
    organization_class: OrganizationClass | None = None
    contact: Line | None = None
    is_active: bool | None = Field(None, description="false: its keys and tokens are refused")
    tenants: Annotated[list[Name], Field(max_length=100)] | None = None


class PolicyChange(Body):
    """What is to change for a class; what is left out stays."""

    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    burst: int | None = Field(None, ge=1, le=1_000_000)
    requests_per_day: int | None = Field(None, ge=1, le=1_000_000_000)
    rows_per_page: int | None = Field(None, ge=1, le=10_000)
    rows_per_export: int | None = Field(None, ge=1, le=1_000_000_000)
    query_seconds: float | None = Field(None, gt=0, le=300)
    export_seconds: float | None = Field(None, gt=0, le=3600)
    concurrent: int | None = Field(None, ge=1, le=10_000)
    priority: int | None = Field(None, ge=0, le=9)
    may_see_sensitive: bool | None = None
    datasets: Annotated[list[Name], Field(max_length=1000)] | None = Field(
        None, description="Collections that it may read; empty: all public ones"
    )


class TenantBody(Body):
    """A tenant and the collections that only its organizations see."""

    title: Label
    collections: Annotated[list[Name], Field(max_length=1000)] = []


class RevocationBody(Body):
    """A token that is refused from now on: one (``jti``), or a subject's until now (``sub``)."""

    claim: Literal["jti", "sub"]
    value: Annotated[str, Field(min_length=1, max_length=200, pattern=LINE)]


def key_shown(key: Key) -> dict[str, Any]:
    """Return what may be shown of a key: never its secret, nor its hash."""
    return {
        "id": key.prefix,
        "label": key.label,
        "organization": key.organization,
        "scopes": sorted(key.scopes),
        "networks": list(key.networks),
        "createdAt": _instant(key.created_at),
        "createdBy": key.created_by,
        "expiresAt": _instant(key.expires_at),
        "revokedAt": _instant(key.revoked_at),
        "lastUsedOn": None if key.last_used_on is None else key.last_used_on.isoformat(),
        "rotatedFrom": key.rotated_from,
    }


def organization_shown(one: Organization) -> dict[str, Any]:
    """Return an organization as it is shown."""
    return {
        "id": one.id,
        "name": one.name,
        "organizationClass": one.organization_class,
        "contact": one.contact,
        "isActive": one.is_active,
        "tenants": sorted(one.tenants),
    }


def policy_shown(policy: Policy) -> dict[str, Any]:
    """Return the limits of a class as they are shown."""
    values = {**asdict(policy), "datasets": sorted(policy.datasets)}
    return {to_camel(name): value for name, value in values.items()}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at) + "Z"
