"""An item's id -> the conditions that find it: the key fields' values, joined as contracts do."""

from __future__ import annotations

from typing import Any

from api.catalog.model import Collection, Property
from api.problems import Problem
from api.query.model import Filter
from api.query.values import value_of

LONGEST_KEY = 1024


def key_filters(collection: Collection, text: str) -> tuple[Filter, ...]:
    """Return what finds the item with this id.

    Raises Problem ``not-found`` for a text that no key of the collection has.
    """
    if len(text) > LONGEST_KEY or "\0" in text:
        raise no_item(collection, text)
    if collection.is_dataset:
        return (Filter("record_key", "=", (text,)),)
    parts = split_key(text)
    if len(parts) != len(collection.key):
        raise no_item(collection, text)
    properties = [collection.by_name[name] for name in collection.key]
    return tuple(
        Filter(one.name, "=", (_part(collection, one, part, text),))
        for one, part in zip(properties, parts, strict=True)
    )


def split_key(text: str) -> list[str]:
    """Return the fields of a key: the inverse of ``key_text`` of the contracts."""
    parts, current, is_escaped = [], "", False
    for letter in text:
        if is_escaped or letter not in "\\|":
            current, is_escaped = current + letter, False
        elif letter == "\\":
            is_escaped = True
        else:
            parts.append(current)
            current = ""
    return [*parts, current]


def no_item(collection: Collection, text: str) -> Problem:
    """Return the problem of an id that names nothing."""
    fields = "|".join(collection.key)
    return Problem(
        "not-found", f"{collection.id} has no item with the key {text[:200]!r}; keys are {fields}"
    )


def _part(collection: Collection, one: Property, part: str, text: str) -> Any:
    if one.type == "date-time" and "Z" not in part:
        part += "Z"  # keys hold instants in UTC without saying so
    try:
        return value_of("key", one, part.lower() if one.type == "boolean" else part)
    except Problem:
        raise no_item(collection, text) from None
