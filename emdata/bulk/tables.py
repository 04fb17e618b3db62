"""Contract -> the table of its bulk files: the record's own fields and what says where it is from.

Fields that not everybody may see are left out: a file is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from emdata.contracts.base import Record, fields_of
from emdata.derive.types import META
from emdata.tabular.model import Column, Kind, Places, Table

_KINDS: dict[type, Kind] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    date: "date",
    datetime: "date-time",
}
_ENVELOPE: Mapping[str, Kind] = {
    "record_key": "string",
    "record_version": "string",
    "accepted_on": "date",
    "accepted_at": "date-time",
    "writer": "integer",
    "seq": "integer",
    "is_simulated": "boolean",
}
_POINTS = (("point_longitude", "point_latitude"), ("longitude", "latitude"))


def is_public(record: type[Record]) -> bool:
    """Whether all rows of a dataset are everybody's; only those become bulk files."""
    return record.dataset.tenant is None and record.dataset.tenant_column is None


def bulk_table(record: type[Record], about: Mapping[str, str]) -> Table:
    """Return the table; ``about`` becomes the files' metadata."""
    own = tuple(
        Column(
            field.name,
            "json" if field.kind == "json" else _KINDS[field.base],
            field.doc,
            field.unit,
            field.nullable,
        )
        for field in fields_of(record)
        if not field.is_sensitive
    )
    envelope = tuple(
        Column(meta.name, _ENVELOPE[meta.name], meta.comment, None, meta.nullable)
        for meta in META
        if meta.name in _ENVELOPE
    )
    columns = own + envelope
    names = tuple(column.name for column in columns)
    return Table(columns, names, _places(set(names)), about)


def _places(names: set[str]) -> Places | None:
    point = next((pair for pair in _POINTS if names.issuperset(pair)), None)
    geojson = "geometry" if "geometry" in names else None
    return Places(geojson, point) if point or geojson else None
