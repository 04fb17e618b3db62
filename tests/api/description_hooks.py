"""What schemathesis cannot know from JSON Schema, so that what it calls valid is.

Loaded by ``schemathesis.toml``. Some things are said in words in the description: a cursor comes
from a ``next`` link and Last-Event-ID from an event, a filter is CQL2, a box's south is not above
its north, an interval does not end before it starts. For a request that is to be accepted they
are made right here; nothing is changed in one that is to be refused.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext

from api.query.parameters import RESERVED

_DAYS = st.dates(datetime(1900, 1, 1).date(), datetime(2200, 1, 1).date()).map(str)  # noqa: DTZ001
_INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
)
_OPERATORS = ("IS NULL", "IS NOT NULL")
# What a route has beside the properties of its collection.
_OTHERS = frozenset({*RESERVED, "limit", "seconds"})

schemathesis.openapi.format("date", _DAYS)
schemathesis.openapi.format("date-time", _INSTANTS)
schemathesis.openapi.format("instant-or-day", _INSTANTS | _DAYS)
schemathesis.openapi.format(
    "interval",
    _INSTANTS
    | _DAYS
    | st.tuples(_INSTANTS, _INSTANTS).map(lambda both: "/".join(sorted(both)))
    | _DAYS.map("{}/..".format)
    | _DAYS.map("../{}".format),
)


@schemathesis.hook
def map_case(context: HookContext, case: Case) -> Case:
    """Make a request that is to be accepted one that is."""
    meta, query = case.meta, case.query
    if meta is None or not meta.generation.mode.is_positive:
        return case
    if case.headers:
        case.headers.pop("Last-Event-ID", None)
    if case.operation.path.endswith("/stream") and not {"limit", "seconds"} & set(query or ()):
        case.query = query = {**(query or {}), "limit": 0}  # or it lasts for half a minute
    if not query:
        return case
    query.pop("cursor", None)
    if isinstance(box := query.get("bbox"), list):
        query["bbox"] = _box(box)
    if "filter" in query:
        names = sorted(one.name for one in case.operation.query if one.name not in _OTHERS)
        language = query.get("filter-lang", "cql2-text")
        query["filter"] = _filter(str(query["filter"]), names, is_text=language == "cql2-text")
    return case


def _box(numbers: list[Any]) -> list[Any]:
    if len(numbers) == 4:
        west, south, east, north = numbers
        low, high = sorted((south, north))
        return [west, low, east, high]
    west, south, bottom, east, north, top = numbers
    low, high = sorted((south, north))
    bottom, top = sorted((bottom, top))
    return [west, low, bottom, east, high, top]


def _filter(seed: str, names: list[str], *, is_text: bool) -> str:
    """Return a condition over properties; the same for the same generated text."""
    chosen = random.Random(seed)
    name, other = chosen.choice(names), chosen.choice(names)
    if is_text:
        first, second = chosen.choice(_OPERATORS), chosen.choice(_OPERATORS)
        return chosen.choice(
            (
                f"{name} {first}",
                f"NOT ({name} {first} AND {other} {second})",
                f'"{name}" {first} OR ({other} {second})',
            )
        )
    missing = {"op": "isNull", "args": [{"property": name}]}
    both = {"op": "and", "args": [missing, {"op": "isNull", "args": [{"property": other}]}]}
    return json.dumps(chosen.choice((missing, both, {"op": "not", "args": [missing]})))
