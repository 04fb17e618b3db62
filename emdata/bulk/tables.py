"""Contract -> the table of its bulk files: the record's own fields and what says where it is from.

Fields that not everybody may see are left out: a file is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping

from emdata.contracts.base import Record, fields_of
from emdata.derive.types import META
from emdata.tabular.contracts import kind_of, places_of
from emdata.tabular.model import Column, Kind, Table

_ENVELOPE: Mapping[str, Kind] = {
    "record_key": "string",
    "record_version": "string",
    "accepted_on": "date",
    "accepted_at": "date-time",
    "writer": "integer",
    "seq": "integer",
    "is_simulated": "boolean",
}


def is_public(record: type[Record]) -> bool:
    """Whether all rows of a dataset are everybody's; only those become bulk files."""
    return record.dataset.tenant is None and record.dataset.tenant_column is None


def bulk_table(record: type[Record], about: Mapping[str, str]) -> Table:
    """Return the table; ``about`` becomes the files' metadata."""
    own = tuple(
        Column(
            field.name,
            kind_of(field),
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
    return Table(columns, names, places_of(set(names)), about)
