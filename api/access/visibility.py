"""The one place that decides which collections, rows and columns a caller sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from api.access.caller import Caller
from api.catalog.catalog import Catalog
from api.catalog.model import Collection
from api.problems import Problem
from api.query.model import Filter


def visible(catalog: Catalog, caller: Caller) -> Iterator[Collection]:
    """Yield the collections that a caller may know of, without the columns they may not see."""
    for collection in catalog:
        if _may_see(collection, caller):
            yield _masked(collection, caller)


def visible_collection(catalog: Catalog, name: str, caller: Caller) -> Collection:
    """Return one collection.

    Raises Problem ``not-found``, the same for one that is not there and for one of another tenant.
    """
    collection = catalog.get(name)
    if collection is None or not _may_see(collection, caller):
        known = ", ".join(sorted(one.id for one in visible(catalog, caller)))
        raise Problem("not-found", f"collection {name[:100]!r} is unknown; known: {known}")
    return _masked(collection, caller)


def row_scope(collection: Collection, caller: Caller) -> tuple[Filter, ...]:
    """Return what limits a collection's rows to those of the caller's tenants."""
    if collection.tenant_column is None:
        return ()
    # "public" is nobody's: a shared table also has rows for all.
    return (Filter(collection.tenant_column, "in", ("public", *sorted(caller.tenants))),)


def _may_see(collection: Collection, caller: Caller) -> bool:
    if collection.tenant is not None and collection.tenant not in caller.tenants:
        return False
    return not caller.policy.datasets or collection.id in caller.policy.datasets


def _masked(collection: Collection, caller: Caller) -> Collection:
    if caller.policy.may_see_sensitive:
        return collection
    shown = tuple(one for one in collection.properties if not one.is_sensitive)
    return (
        collection
        if len(shown) == len(collection.properties)
        else replace(collection, properties=shown)
    )
