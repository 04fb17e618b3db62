"""Who asks: an organization by key or token, or anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

OrganizationClass = Literal["government", "academic", "commercial", "public"]
ANONYMOUS = "anonymous"
OPERATOR = "operator"
"""The tenant of what only those who run the platform read; callers with ADMIN belong to it."""
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
    """Who one request is from.

    hidden, owned: collections that belong to a tenant by the table, not one of the caller's and
    one of theirs; what a contract or model declares is judged beside it. networks: those that the
    key is limited to.
    expires_at: Unix time of the end of the key or token. token_id, issued_at: of a token. reads:
    collections that are not public and whose rows this request was let to; the gate writes them to
    the audit log before the answer.
    """

    organization: str
    organization_class: OrganizationClass
    policy: Policy
    scopes: frozenset[str] = frozenset({READ})
    tenants: frozenset[str] = frozenset()
    key_id: str | None = None
    subject: str | None = None
    hidden: frozenset[str] = frozenset()
    owned: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    expires_at: float | None = None
    token_id: str | None = None
    issued_at: float | None = None
    reads: list[str] = field(default_factory=list, compare=False)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said who they are."""
        return self.organization == ANONYMOUS

    @property
    def actor(self) -> str:
        """How the audit log names the caller."""
        if self.key_id is not None:
            return f"{self.organization}/key:{self.key_id}"
        return self.organization if self.subject is None else f"{self.organization}/{self.subject}"


PUBLIC_POLICY = Policy("public")


def anonymous(policy: Policy = PUBLIC_POLICY, hidden: frozenset[str] = frozenset()) -> Caller:
    """Return the caller of a request without credentials."""
    return Caller(ANONYMOUS, "public", policy, hidden=hidden)
