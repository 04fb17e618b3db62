"""Organizations, classes and tenants, changed by administrators; each change is in the chain."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.errors import PermanentError
from emdata.state.access import Organization, organization_in, organization_of
from emdata.state.access_tables import (
    organization_tenants,
    organizations,
    policies,
    revoked_tokens,
    tenant_collections,
    tenants,
)
from emdata.state.audit_chain import Tail
from emdata.state.changes import Change
from emdata.state.database import transaction


class Taken(PermanentError):
    """A name that is to be new is there already, or what is to be removed is in use."""

    code = "taken"


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """What an organization is to be."""

    id: str
    name: str
    organization_class: str
    contact: str = ""
    tenants: frozenset[str] = frozenset()


def add_organization_in(connection: Connection, new: NewOrganization, change: Change) -> Tail:
    """Register an organization, within a transaction.

    Raises Taken, and LookupError with the names of tenants that are not there.
    """
    made = connection.execute(
        insert(organizations)
        .values(
            id=new.id,
            name=new.name,
            organization_class=new.organization_class,
            contact=new.contact,
            created_at=change.now,
            created_by=change.actor,
        )
        .on_conflict_do_nothing()
        .returning(organizations.c.id)
    ).one_or_none()
    if made is None:
        raise Taken(f"organization {new.id} is there already")
    _set_tenants(connection, new.id, new.tenants)
    return change.note(
        connection,
        "organization.create",
        f"organization:{new.id}",
        organization_class=new.organization_class,
        tenants=sorted(new.tenants),
    )


def add_organization(engine: Engine, new: NewOrganization, change: Change) -> Tail:
    """As ``add_organization_in``, in a transaction of its own. Raises StateUnavailable too."""
    with transaction(engine) as connection:
        return add_organization_in(connection, new, change)


def change_organization(
    engine: Engine,
    name: str,
    values: Mapping[str, Any],
    memberships: Collection[str] | None,
    change: Change,
) -> tuple[Organization, Tail]:
    """Change columns and, unless None, the tenants; returns the organization.

    Raises StateUnavailable, and LookupError with what is not there.
    """
    with transaction(engine) as connection:
        if organization_in(connection, name) is None:
            raise LookupError(name)
        if values:
            connection.execute(
                organizations.update().where(organizations.c.id == name).values(dict(values))
            )
        if memberships is not None:
            _set_tenants(connection, name, memberships)
        said = dict(values) if memberships is None else {**values, "tenants": sorted(memberships)}
        tail = change.note(connection, "organization.change", f"organization:{name}", **said)
        found = organization_in(connection, name)
    assert found is not None  # noqa: S101 - it was there in this transaction
    return found, tail


def list_organizations(engine: Engine, after: str, limit: int) -> list[Organization]:
    """Return organizations by id, from beyond ``after``. Raises StateUnavailable."""
    members = (
        sa.select(
            organization_tenants.c.organization,
            sa.func.array_agg(organization_tenants.c.tenant).label("members"),
        )
        .group_by(organization_tenants.c.organization)
        .subquery()
    )
    query = (
        sa.select(organizations, members.c.members)
        .join(members, members.c.organization == organizations.c.id, isouter=True)
        .where(organizations.c.id > after)
        .order_by(organizations.c.id)
        .limit(limit)
    )
    with transaction(engine) as connection:
        rows = connection.execute(query).mappings()
        return [organization_of(row, row["members"] or ()) for row in rows]


def change_policy(
    engine: Engine, organization_class: str, values: Mapping[str, Any], change: Change
) -> Tail:
    """Change what a class may do, for every process within seconds. Raises StateUnavailable."""
    with transaction(engine) as connection:
        connection.execute(
            policies.update()
            .where(policies.c.organization_class == organization_class)
            .values(dict(values))
        )
        return change.note(connection, "policy.change", f"policy:{organization_class}", **values)


def list_tenants(engine: Engine) -> list[dict[str, Any]]:
    """Return tenants with their collections, by id. Raises StateUnavailable."""
    with transaction(engine) as connection:
        found = {
            row.id: {"id": row.id, "title": row.title, "collections": []}
            for row in connection.execute(sa.select(tenants).order_by(tenants.c.id))
        }
        owned = sa.select(tenant_collections).order_by(tenant_collections.c.collection)
        for row in connection.execute(owned):
            found[row.tenant]["collections"].append(row.collection)
    return list(found.values())


def put_tenant(
    engine: Engine, name: str, title: str, collections: Collection[str], change: Change
) -> Tail:
    """Make or change a tenant and what belongs to it.

    Raises StateUnavailable, and Taken for a collection of another tenant.
    """
    with transaction(engine) as connection:
        row = insert(tenants).values(id=name, title=title)
        connection.execute(row.on_conflict_do_update(index_elements=["id"], set_={"title": title}))
        mine = tenant_collections.c.tenant == name
        connection.execute(tenant_collections.delete().where(mine))
        for one in sorted(collections):
            made = connection.execute(
                insert(tenant_collections)
                .values(collection=one, tenant=name)
                .on_conflict_do_nothing()
                .returning(tenant_collections.c.tenant)
            ).one_or_none()
            if made is None:
                raise Taken(f"collection {one} belongs to another tenant")
        return change.note(
            connection,
            "tenant.change",
            f"tenant:{name}",
            title=title,
            collections=sorted(collections),
        )


def revoke_token(engine: Engine, claim: str, value: str, until: datetime, change: Change) -> Tail:
    """Refuse a token (``jti``), or all of a subject issued until now (``sub``).

    Raises StateUnavailable.
    """
    with transaction(engine) as connection:
        connection.execute(revoked_tokens.delete().where(revoked_tokens.c.until <= change.now))
        row = insert(revoked_tokens).values(
            claim=claim, value=value, revoked_at=change.now, until=until
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["claim", "value"],
                set_={"revoked_at": change.now, "until": until},
            )
        )
        return change.note(connection, "token.revoke", f"{claim}:{value}", until=until)


def _set_tenants(connection: Connection, name: str, wanted: Collection[str]) -> None:
    known: set[str] = set(connection.execute(sa.select(tenants.c.id)).scalars())
    if missing := sorted(set(wanted) - known):
        raise LookupError(", ".join(missing))
    mine = organization_tenants.c.organization == name
    connection.execute(
        organization_tenants.delete().where(mine, organization_tenants.c.tenant.not_in(wanted))
    )
    for tenant in sorted(wanted):
        row = insert(organization_tenants).values(organization=name, tenant=tenant)
        connection.execute(row.on_conflict_do_nothing())
