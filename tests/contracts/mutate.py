"""Changes that a source might make to its payloads, applied to any JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# What lies below these is kept as it is and read by name only where the source says so.
FREE_FORM = frozenset({"parameters", "@context"})


def field_names(document: Any) -> list[str]:
    """All member names in a document that are not part of free-form content, in order."""
    return list(dict.fromkeys(_names(document)))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in FREE_FORM:
                yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def renamed(value: Any, name: str, new: str) -> Any:
    """The document with every member ``name`` called ``new``."""
    if isinstance(value, dict):
        return {
            (new if n == name else n): v if n in FREE_FORM else renamed(v, name, new)
            for n, v in value.items()
        }
    return [renamed(v, name, new) for v in value] if isinstance(value, list) else value


def retyped(value: Any, name: str) -> Any:
    """The document with every member ``name`` turned into an object."""
    if isinstance(value, dict):
        return {
            n: {"was": v} if n == name else v if n in FREE_FORM else retyped(v, name)
            for n, v in value.items()
        }
    return [retyped(v, name) for v in value] if isinstance(value, list) else value


def added(value: Any, name: str) -> Any:
    """The document with a new member in every object that has a plain value already."""
    if isinstance(value, dict):
        found = {n: v if n in FREE_FORM else added(v, name) for n, v in value.items()}
        plain = any(not isinstance(v, dict | list) for v in value.values())
        return {**found, name: {"new": [1]}} if plain else found
    return [added(v, name) for v in value] if isinstance(value, list) else value
