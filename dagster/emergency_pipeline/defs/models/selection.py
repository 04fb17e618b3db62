"""Which models a build must touch, read from dbt's manifest: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emergency_pipeline.site import RAW_DATABASE

Manifest = Mapping[str, Any]
Relation = tuple[str, str]
"""Database and name of a table or view."""

GEOGRAPHY = "tag:geography"
_STORED = ("model", "seed", "snapshot")


def known_tables(manifest: Manifest, tables: Iterable[str]) -> list[str]:
    """Return those raw tables that models read, in the order given."""
    return [table for table in tables if _sources(manifest, {table})]


def selection_of(tables: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """Return dbt arguments that select all models downstream of raw tables, and ``more``.

    Tests run when all that they read is selected or is needed by what is selected: a test across
    two sources waits until the models of both are built.
    """
    downstream = [f"source:{RAW_DATABASE}.{table}+" for table in tables]
    return ["--select", " ".join([*downstream, *more]), "--indirect-selection", "buildable"]


def missing_parents(
    manifest: Manifest, tables: Iterable[str], existing: Iterable[Relation]
) -> list[str]:
    """Return models and seeds that the models downstream of ``tables`` need and nobody built yet.

    Parents with new rows of their own are selected anyway; this is for those without, such as
    geography on a new platform, or a source that has not landed.
    """
    there = set(existing)
    below = _reach(_sources(manifest, set(tables)), manifest["child_map"])
    children = {
        name for name in below if name in manifest["nodes"] and _is_stored(manifest["nodes"][name])
    }
    parents = _reach(children, manifest["parent_map"]) - below
    nodes = [manifest["nodes"][name] for name in parents if name in manifest["nodes"]]
    return sorted(
        node["name"] for node in nodes if _is_stored(node) and _relation(node) not in there
    )


def databases(manifest: Manifest) -> list[str]:
    """Return the databases that dbt writes to."""
    return sorted({node["schema"] for node in manifest["nodes"].values() if _is_stored(node)})


def _sources(manifest: Manifest, tables: set[str]) -> set[str]:
    return {
        name
        for name, source in manifest["sources"].items()
        if source["schema"] == RAW_DATABASE and source["identifier"] in tables
    }


def _reach(start: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for name in edges.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _is_stored(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] in _STORED and node["config"].get("materialized") != "ephemeral"


def _relation(node: Mapping[str, Any]) -> Relation:
    return (node["schema"], node.get("alias") or node["name"])
