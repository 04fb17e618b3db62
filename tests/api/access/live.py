"""Callers of every kind on a running platform."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from emdata.state.api_keys import Made, NewKey, make_key, revoke_key
from emdata.state.changes import Change
from emdata.state.organizations import NewOrganization, add_organization, put_tenant
from tests.support.platform import Platform

CLASSES = ("government", "academic", "commercial", "public")
TENANT = "county"
OWNED = "usda_drought_counties"
"""A collection that belongs to TENANT while these tests run."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class World:
    """A platform, its callers by role (key tokens), and their keys."""

    platform: Platform
    engine: Engine
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.platform.settings.api_port}"

    @property
    def key(self) -> bytes:
        """The key of the audit chain."""
        return self.platform.context.credentials.audit_key.encode()

    def change(self) -> Change:
        """A change by these tests, now."""
        return Change("tests", datetime.now(UTC), self.key)

    def ask(
        self, path: str, role: str = "anonymous", *, method: str = "GET", body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Ask as a role."""
        given = dict(headers or {})
        if role in self.tokens:
            given["Authorization"] = f"Bearer {self.tokens[role]}"
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, content, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def make(
        self, role: str, organization: str, *scopes: str, days: float = 1, **more: Any
    ) -> Made:
        """Make a key and remember it as a role's."""
        change = self.change()
        expires = change.now + timedelta(days=days)
        new = NewKey(organization, role, frozenset(scopes), expires, **more)
        made = make_key(self.engine, new, change)
        self.tokens[role], self.ids[role] = made.token, made.key.prefix
        return made


def populate(world: World) -> None:
    """Register organizations and make a key for every role."""
    change = world.change()
    put_tenant(world.engine, TENANT, "The county", [OWNED], change)
    for name in CLASSES:
        add_organization(world.engine, NewOrganization(name, name, name), change)
        world.make(name, name, "read")
    member = NewOrganization("county-lab", "Lab", "academic", "", frozenset({TENANT}))
    add_organization(world.engine, member, change)
    world.make("member", "county-lab", "read")
    world.make("keeper", "academic", "read", "keys")
    world.make("writer", "academic", "write")
    world.make("expired", "academic", "read", "keys", "admin", days=-1)
    world.make("revoked", "academic", "read", "keys", "admin")
    revoke_key(world.engine, world.ids["revoked"], None, change)
    world.make("elsewhere", "academic", "read", "keys", "admin", networks=("198.51.100.0/24",))
    add_organization(world.engine, NewOrganization("operator", "Us", "government"), change)
    world.make("admin", "operator", "read", "write", "keys", "admin")
