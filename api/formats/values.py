"""Rows as objects of JSON: quickly, whole batches at a time, and always valid JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from api.catalog.model import Collection, Geometry
from api.formats.model import Document, Row

OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
LINES = OPTIONS | orjson.OPT_APPEND_NEWLINE
_skim = msgspec.json.Decoder(msgspec.Raw).decode


def dumps(value: Any, options: int = OPTIONS) -> bytes:
    """Return JSON; instants are UTC with ``Z``, decimals keep all their digits."""
    return orjson.dumps(value, decimal, options)


def decimal(value: Any) -> Any:
    """Write what the JSON library does not know: a DECIMAL of StarRocks as a number."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def raw_json(text: str | None) -> Any:
    """Return JSON text as it is; what is none, as a JSON string, so that the document stays one."""
    if text is None:
        return None
    try:
        _skim(text)
    except msgspec.DecodeError:
        return text
    return orjson.Fragment(text)


class Objects:
    """Turns rows into dicts by name; ``names`` are those of the document that are wanted."""

    def __init__(self, document: Document, names: Sequence[str]) -> None:
        at = {name: index for index, name in enumerate(document.layout)}
        known = document.collection.by_name
        self._names = tuple(names)
        picks = [at[name] for name in names]
        self._picks = None if picks == list(range(len(document.layout))) else picks
        self._patches: list[tuple[str, Callable[[Any], Any]]] = [
            (name, _PATCHES[known[name].type]) for name in names if known[name].type in _PATCHES
        ]

    def of(self, row: Row) -> dict[str, Any]:
        """Return one row."""
        values = row if self._picks is None else [row[index] for index in self._picks]
        made = dict(zip(self._names, values, strict=True))
        for name, patch in self._patches:
            value = made[name]
            if value is not None:
                made[name] = patch(value)
        return made


def geometry_maker(collection: Collection, layout: Sequence[str]) -> Callable[[Row], Any]:
    """Return what makes a row's GeoJSON geometry: as it is stored, else its point, else None."""
    geometry = collection.geometry
    if geometry is None:
        return lambda _row: None
    at = {name: index for index, name in enumerate(layout)}
    return _maker(geometry, at)


def _maker(geometry: Geometry, at: dict[str, int]) -> Callable[[Row], Any]:
    shape = at.get(geometry.geojson) if geometry.geojson is not None else None
    along, up = (at.get(name) for name in geometry.point) if geometry.point else (None, None)

    def make(row: Row) -> Any:
        if shape is not None and row[shape]:
            found = raw_json(row[shape])
            if not isinstance(found, str):
                return found
        if along is None or up is None or row[along] is None or row[up] is None:
            return None
        return {"type": "Point", "coordinates": (row[along], row[up])}

    return make


_PATCHES: dict[str, Callable[[Any], Any]] = {"boolean": bool, "json": raw_json}
