"""Who asks: an organization by key or token, or anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OrganizationClass = Literal["government", "academic", "commercial", "public"]
ANONYMOUS = "anonymous"
READ, WRITE, KEYS, ADMIN = "read", "write", "keys", "admin"
SCOPES = (READ, WRITE, KEYS, ADMIN)
"""Read items; submit records; manage one's organization's keys; change policies of all."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a class of organizations may do; a row of the table that an administrator changes.

    datasets: ids of collections, empty for all public ones. priority: lane of its queries, 0 first.
    """

    organization_class: OrganizationClass
    requests_per_minute: int = 60
    burst: int = 30
    requests_per_day: int = 20_000
    rows_per_page: int = 1_000
    rows_per_export: int = 1_000_000
    query_seconds: float = 10.0
    export_seconds: float = 120.0
    concurrent: int = 4
    priority: int = 3
    may_see_sensitive: bool = False
    datasets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who one request is from."""

    organization: str
    organization_class: OrganizationClass
    policy: Policy
    scopes: frozenset[str] = frozenset({READ})
    tenants: frozenset[str] = frozenset()
    key_id: str | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said who they are."""
        return self.organization == ANONYMOUS


PUBLIC_POLICY = Policy("public")


def anonymous(policy: Policy = PUBLIC_POLICY) -> Caller:
    """Return the caller of a request without credentials."""
    return Caller(ANONYMOUS, "public", policy)
