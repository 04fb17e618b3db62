"""The one place that decides which collections, rows and columns a caller sees.

A collection belongs to a tenant by its declaration (contract or model) or by the table
``tenant_collections``, a row by the column that the collection declares. Everything that answers
with data gets its collection from ``visible_collection`` and limits its rows by ``row_scope``;
what is not public and was let through is noted for the audit log.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from api.access.caller import READ, Caller
from api.catalog.catalog import Catalog
from api.catalog.model import Collection, Geometry, Span
from api.problems import Problem
from api.query.model import Filter

PUBLIC = "public"
"""The tenant of rows that belong to nobody: a shared table also has rows for all."""


def visible(catalog: Catalog, caller: Caller) -> Iterator[Collection]:
    """Yield the collections that a caller may know of, without the columns they may not see."""
    for collection in catalog:
        if _may_see(collection, caller):
            yield _masked(collection, caller)


def visible_collection(
    catalog: Catalog, name: str, caller: Caller, scope: str = READ
) -> Collection:
    """Return one collection, to read or describe it, or with ``scope`` WRITE to submit to it.

    Raises Problem ``not-found``, the same for one that is not there and for one of another tenant,
    and ``forbidden`` for a key or token without the scope.
    """
    collection = catalog.get(name)
    if collection is None or not _may_see(collection, caller):
        known = ", ".join(sorted(one.id for one in visible(catalog, caller)))
        raise Problem("not-found", f"collection {name[:100]!r} is unknown; known: {known}")
    if scope not in caller.scopes:
        raise Problem("forbidden", f"this needs a key or token with the scope {scope}", scope=scope)
    if scope == READ and is_audited(collection, caller):
        caller.reads.append(collection.id)
    return _masked(collection, caller)


def row_scope(collection: Collection, caller: Caller) -> tuple[Filter, ...]:
    """Return what limits a collection's rows to those of the caller's tenants."""
    if collection.tenant_column is None:
        return ()
    return (Filter(collection.tenant_column, "in", tenants_of(caller)),)


def tenants_of(caller: Caller) -> tuple[str, ...]:
    """Return whose rows a caller sees, and may submit, where a column names whose a row is."""
    return (PUBLIC, *sorted(caller.tenants))


def view_key(collection: Collection, caller: Caller) -> Hashable:
    """Return what two callers have in common who see the same of a collection; for caches."""
    tenants = caller.tenants if collection.tenant_column is not None else frozenset()
    return caller.policy.may_see_sensitive and _has_sensitive(collection), tenants


def is_audited(collection: Collection, caller: Caller) -> bool:
    """Whether a read of what this caller sees there is a read of what is not public."""
    if caller.is_anonymous:
        return False
    if collection.tenant is not None or collection.id in caller.owned:
        return True
    if collection.tenant_column is not None and caller.tenants:
        return True
    return caller.policy.may_see_sensitive and _has_sensitive(collection)


def _may_see(collection: Collection, caller: Caller) -> bool:
    if collection.id in caller.hidden:
        return False
    if collection.tenant is not None and collection.tenant not in caller.tenants:
        return False
    allowed = caller.policy.datasets
    # What belongs to a tenant of the caller's is theirs whatever their class may read.
    return (
        not allowed
        or collection.id in allowed
        or collection.tenant is not None
        or collection.id in caller.owned
    )


def _has_sensitive(collection: Collection) -> bool:
    return any(one.is_sensitive for one in collection.properties)


def _masked(collection: Collection, caller: Caller) -> Collection:
    """Leave out the columns, and what could be asked or guessed through them."""
    if caller.policy.may_see_sensitive or not _has_sensitive(collection):
        return collection
    shown = tuple(one for one in collection.properties if not one.is_sensitive)
    names = {one.name for one in shown}
    return replace(
        collection,
        properties=shown,
        state=collection.state if collection.state in names else None,
        county=collection.county if collection.county in names else None,
        time=_span(collection.time, names),
        as_of=_span(collection.as_of, names),
        geometry=_geometry(collection.geometry, names),
    )


def _span(span: Span | None, names: set[str]) -> Span | None:
    if span is None or span.start not in names or (span.end and span.end not in names):
        return None
    return span


def _geometry(geometry: Geometry | None, names: set[str]) -> Geometry | None:
    """All of it or nothing: a box would give away the point, a point the shape."""
    if geometry is None:
        return None
    used = (geometry.geojson, *(geometry.point or ()), *(geometry.bbox or ()))
    return geometry if names.issuperset(one for one in used if one) else None
