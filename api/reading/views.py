"""Which tables are under a view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from emdata.telemetry import get_logger

log = get_logger(__name__)
Table = tuple[str, str]
UNREAD: Table = ("", "")
"""Stands for the tables under a view that could not be read."""


@dataclass(frozen=True)
class Views:
    """Views by name: the digest of their definition, and what they read."""

    known: Mapping[Table, tuple[str, frozenset[Table]]] = field(default_factory=dict)

    def updated(self, rows: Iterable[tuple[Any, ...]]) -> Views:
        """Return the views of ``information_schema.views``; only what is new is parsed."""
        now: dict[Table, tuple[str, frozenset[Table]]] = {}
        for database, name, definition in rows:
            digest = hashlib.blake2b(str(definition).encode(), digest_size=8).hexdigest()
            before = self.known.get((database, name))
            if before is not None and before[0] == digest:
                now[database, name] = before
            else:
                now[database, name] = (digest, read_by(str(definition), database))
        return Views(now)

    def definition(self, table: Table) -> str:
        """Return a digest of the definitions of a view and of those under it; of a table none."""
        found = sorted(self.known[each][0] for each in _reached(table, self) if each in self.known)
        return ".".join(found)


def tables_of(table: Table, views: Views) -> frozenset[Table]:
    """Return the tables that a table or view has its rows in: of a table, itself."""
    return frozenset(each for each in _reached(table, views) if each not in views.known)


def read_by(definition: str, database: str) -> frozenset[Table]:
    """Return the tables and views that a query reads; unqualified ones are in ``database``."""
    try:
        tree = sqlglot.parse_one(definition, dialect="starrocks")
    except SqlglotError as error:
        # Nothing that is made from it is cached.
        log.warning("api_view_not_read", error=str(error)[:300])
        return frozenset({UNREAD})
    local = {one.alias_or_name.lower() for one in tree.find_all(exp.CTE)}
    return frozenset(
        (each.db or database, each.name)
        for each in tree.find_all(exp.Table)
        if each.name and (each.db or each.name.lower() not in local)
    )


def _reached(table: Table, views: Views) -> set[Table]:
    found: set[Table] = set()
    todo = [table]
    while todo:
        each = todo.pop()
        if each in found:
            continue
        found.add(each)
        if each in views.known:
            todo.extend(views.known[each][1])
    return found
