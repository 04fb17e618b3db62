"""What identifying a caller reads: keys, organizations, and the rules for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.state.access_tables import (
    api_keys,
    organization_tenants,
    organizations,
    policies,
    revoked_tokens,
    tenant_collections,
)
from emdata.state.database import transaction


@dataclass(frozen=True, slots=True)
class Organization:
    """Who a key or token belongs to; not active: every key and token of it is refused."""

    id: str
    name: str
    organization_class: str
    contact: str
    is_active: bool
    tenants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret. networks: CIDR texts, empty: from anywhere."""

    prefix: str
    secret_hash: bytes
    organization: str
    label: str
    scopes: frozenset[str]
    networks: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    last_used_on: date | None
    rotated_from: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all.

    policies: rows of that table by class. owners: collection -> tenant. revoked: (claim, value) ->
    when; of ``sub`` every token issued until then.
    """

    policies: Mapping[str, Mapping[str, Any]]
    owners: Mapping[str, str]
    revoked: Mapping[tuple[str, str], datetime]


def read_rules(engine: Engine, now: datetime) -> Rules:
    """Return the rules in force. Raises StateUnavailable."""
    with transaction(engine) as connection:
        classes = connection.execute(sa.select(policies)).mappings().all()
        owned = connection.execute(sa.select(tenant_collections)).all()
        query = sa.select(revoked_tokens).where(revoked_tokens.c.until > now)
        tokens = connection.execute(query).all()
    return Rules(
        {row["organization_class"]: dict(row) for row in classes},
        {row.collection: row.tenant for row in owned},
        {(row.claim, row.value): row.revoked_at for row in tokens},
    )


def read_key(engine: Engine, prefix: str) -> tuple[Key, Organization] | None:
    """Return a key and whose it is, or None. Raises StateUnavailable."""
    with transaction(engine) as connection:
        query = sa.select(api_keys).where(api_keys.c.prefix == prefix)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        found = organization_in(connection, row["organization"])
    return None if found is None else (key_of(row), found)


def read_organization(engine: Engine, name: str) -> Organization | None:
    """Return an organization, or None. Raises StateUnavailable."""
    with transaction(engine) as connection:
        return organization_in(connection, name)


def organization_in(connection: sa.Connection, name: str) -> Organization | None:
    """Return an organization as a transaction sees it, or None."""
    query = sa.select(organizations).where(organizations.c.id == name)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    memberships = sa.select(organization_tenants.c.tenant).where(
        organization_tenants.c.organization == name
    )
    return organization_of(row, connection.execute(memberships).scalars().all())


def organization_of(row: Mapping[Any, Any], tenants: Collection[str]) -> Organization:
    """Return a row of the table as an organization."""
    return Organization(
        row["id"],
        row["name"],
        row["organization_class"],
        row["contact"],
        row["is_active"],
        frozenset(tenants),
    )


def key_of(row: Mapping[Any, Any]) -> Key:
    """Return a row of the table as a key."""
    values = {str(name): value for name, value in row.items()}
    values["secret_hash"] = bytes(values["secret_hash"])
    values["scopes"], values["networks"] = frozenset(values["scopes"]), tuple(values["networks"])
    return Key(**values)


def note_use(engine: Engine, prefixes: Collection[str], day: date) -> None:
    """Note on which day keys were used last. Raises StateUnavailable."""
    older = sa.or_(api_keys.c.last_used_on.is_(None), api_keys.c.last_used_on < day)
    with transaction(engine) as connection:
        connection.execute(
            api_keys.update()
            .where(api_keys.c.prefix.in_(sorted(prefixes)), older)
            .values(last_used_on=day)
        )
