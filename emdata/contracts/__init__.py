"""Contracts: one module per source's datasets, found by being there."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from emdata.contracts.base import (
    A,
    Dataset,
    Doc,
    Field,
    GeoJsonText,
    Json,
    JsonText,
    LongText,
    Priority,
    Record,
    Submitted,
    Text,
    UtcDatetime,
    duration,
    fields_of,
)
from emdata.contracts.identity import utc_text
from emdata.errors import ContractError

__all__ = [
    "A",
    "Dataset",
    "Doc",
    "Field",
    "GeoJsonText",
    "Json",
    "JsonText",
    "LongText",
    "Priority",
    "Record",
    "Submitted",
    "Text",
    "UtcDatetime",
    "contract",
    "contracts",
    "duration",
    "fields_of",
    "submitted_datasets",
    "utc_text",
]


@lru_cache(maxsize=1)
def contracts() -> dict[str, type[Record]]:
    """Return every contract in this package by dataset name, sorted by name.

    Raises ContractError when two contracts claim one dataset name or topic.
    """
    found: dict[str, type[Record]] = {}
    topics: dict[str, str] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, Record) and value is not Record):
                continue
            if value.__module__ != module.__name__:
                continue
            dataset = value.dataset
            other = topics.setdefault(dataset.topic, dataset.name)
            if dataset.name in found or other != dataset.name:
                raise ContractError(
                    f"{value.__module__}.{value.__name__}",
                    value=dataset.name,
                    allowed="a dataset name and topic of its own",
                )
            found[dataset.name] = value
    return dict(sorted(found.items()))


def contract(name: str) -> type[Record]:
    """Return the contract of a dataset by name.

    Raises ContractError, which lists the known names, for an unknown one.
    """
    known = contracts()
    if name not in known:
        raise ContractError("dataset", value=name, allowed=", ".join(known))
    return known[name]


def submitted_datasets() -> tuple[str, ...]:
    """Return the datasets whose records the open API takes."""
    return tuple(n for n, record in contracts().items() if record.dataset.submitted is not None)
