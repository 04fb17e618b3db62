"""Contract -> dbt source, staging view and their documentation: text, made before dbt parses.

Staging shows the current row of every key: the highest (version, sequence), never the last to
arrive. A staging model written by hand under the same name wins: nothing is generated for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from emdata.contracts.base import Field, Record, fields_of
from emdata.derive.starrocks import RAW_DATABASE
from emdata.derive.types import META, columns_of, sql_types
from emdata.yamls import write_yaml

HEADER = "Generated from the contracts by `emdata dbt generate`; edits are lost."
SOURCES_FILE = "_sources.yml"
MODELS_FILE = "_models.yml"


def unit_of(field: Field) -> str | None:
    """Return the unit that a column's description ends with; None for text and truth values."""
    if field.unit:
        return field.unit
    if field.base is datetime:
        return "UTC"
    if field.base is date:
        return "calendar date"
    return "no unit" if field.base in (int, float) else None


def description_of(field: Field) -> str:
    """Return a column's description with its unit in brackets."""
    unit = unit_of(field)
    text = field.doc or field.name.replace("_", " ").capitalize()
    return f"{text} [{unit}]" if unit else text


def sources_yaml(records: Iterable[type[Record]]) -> str:
    """Return the dbt sources: one table per contract, in database ``raw_data``."""
    tables = [
        {
            "name": record.dataset.name,
            "description": _sentences(
                record.dataset.title,
                record.dataset.description,
                "Every landed row; several per key.",
            ),
            "config": {
                "loaded_at_field": "accepted_at",
                "meta": {
                    "source": record.dataset.source,
                    "domain": record.dataset.domain,
                    "topic": record.dataset.topic,
                    "terms": record.dataset.terms,
                },
            },
            "columns": _columns(record),
        }
        for record in records
    ]
    return _yaml(
        {
            "version": 2,
            "sources": [{"name": RAW_DATABASE, "schema": RAW_DATABASE, "tables": tables}],
        }
    )


def staging_sql(record: type[Record]) -> str:
    """Return the staging view of a contract: the current row of every key."""
    dataset = record.dataset
    names = ",\n    ".join(column.name for column in columns_of(record))
    return (
        f"{{{{ config(materialized='view', tags=['{dataset.source}']) }}}}\n"
        f"-- {HEADER}\n"
        f"select\n    {names}\n"
        "from (\n"
        "    select\n"
        "        *,\n"
        "        row_number() over (\n"
        "            partition by record_key\n"
        "            order by record_version desc, seq desc, writer desc\n"
        "        ) as version_rank\n"
        f"    from {{{{ source('{RAW_DATABASE}', '{dataset.name}') }}}}\n"
        ") as versions\n"
        "where version_rank = 1\n"
    )


def staging_yaml(records: Iterable[type[Record]]) -> str:
    """Return the documentation and tests of the staging models of contracts."""
    models = [
        {
            "name": record.dataset.staging,
            "description": _sentences(
                record.dataset.title,
                record.dataset.description,
                f"The current row of every {' and '.join(record.dataset.key)}.",
            ),
            "config": {"meta": {"terms": record.dataset.terms}},
            "columns": _columns(record, tests=True),
        }
        for record in records
    ]
    return _yaml({"version": 2, "models": models})


def generated_files(
    records: Iterable[type[Record]], handwritten: Collection[str] = ()
) -> Mapping[str, str]:
    """Return file name -> text of everything generated.

    ``handwritten`` names the staging models that exist in the project already.
    """
    chosen = sorted(records, key=lambda record: record.dataset.name)
    staged = [record for record in chosen if record.dataset.staging not in handwritten]
    files = {f"{record.dataset.staging}.sql": staging_sql(record) for record in staged}
    files[SOURCES_FILE] = sources_yaml(chosen)
    if staged:
        files[MODELS_FILE] = staging_yaml(staged)
    return files


def _columns(record: type[Record], *, tests: bool = False) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = []
    for meta in META:
        column: dict[str, Any] = {
            "name": meta.name,
            "data_type": meta.types.starrocks.lower(),
            "description": _meta_description(meta.name, meta.comment),
        }
        if tests and meta.name == "record_key":
            column["data_tests"] = ["unique"]
        columns.append(column)
    for field in fields_of(record):
        column = {
            "name": field.name,
            "data_type": sql_types(field).starrocks.lower(),
            "description": description_of(field),
        }
        if tests and field.name in record.dataset.key:
            column["data_tests"] = ["not_null"]
        columns.append(column)
    return columns


_META_UNITS = {
    "accepted_on": "calendar date",
    "accepted_at": "UTC",
    "writer": "no unit",
    "seq": "no unit",
    "priority": "no unit",
}


def _meta_description(name: str, comment: str) -> str:
    unit = _META_UNITS.get(name)
    text = comment[:1].upper() + comment[1:]
    return f"{text} [{unit}]" if unit else text


def _sentences(*texts: str) -> str:
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)


def _yaml(document: Mapping[str, Any]) -> str:
    return f"# {HEADER}\n{write_yaml(document)}"
