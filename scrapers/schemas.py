"""The public face of a contract as JSON Schema, kept in the repository to be reviewed."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from emdata.contracts.base import Field, Record, fields_of

_TYPES: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time", "description": "UTC, without an offset"},
}


def schema_of(record: type[Record]) -> dict[str, Any]:
    """Return JSON Schema (2020-12) of a dataset's records, with identity and promises as ``x-``."""
    dataset, fields = record.dataset, fields_of(record)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": dataset.name,
        "description": dataset.title,
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
        "required": [field.name for field in fields if not field.nullable],
        "additionalProperties": False,
        "x-topic": dataset.topic,
        "x-key": list(dataset.key),
        "x-version": dataset.version,
        "x-unhashed": list(dataset.unhashed),
        "x-event-time": dataset.event_time,
    }


def schema_text(record: type[Record]) -> str:
    """Return the schema as the text of its file."""
    return msgspec.json.format(msgspec.json.encode(schema_of(record)), indent=2).decode() + "\n"


def schema_file(folder: Path, record: type[Record]) -> Path:
    """Return where a dataset's schema lies."""
    return folder / f"{record.dataset.name}.json"


def _property(field: Field) -> dict[str, Any]:
    found = dict(_TYPES[field.base])
    if field.nullable:
        found["type"] = [found["type"], "null"]
    if field.base is str:
        found["maxLength"] = field.max_length
    if field.kind == "json":
        found["contentMediaType"] = "application/json"
        del found["maxLength"]
    text = " ".join(part for part in (field.doc, found.get("description")) if part)
    found["description"] = f"{text} [{field.unit}]" if field.unit else text
    return found
