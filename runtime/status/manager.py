"""What the stream manager says of itself: sources, ledger, queues, buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emdata.settings import Settings
from runtime.context import Context
from runtime.services.base import NotReady
from runtime.services.rest import get_json
from runtime.status.section import Cell, Section

_TITLES = {
    "freshness": "Freshness",
    "sources": "Sources",
    "control": "Control",
    "tenants": "Tenants",
    "ledger": "Ledger",
    "queues": "Queues",
    "buffer": "Buffer",
    "high_availability": "Role",
    "clients": "Clients that wrote without a manager",
}


def sections(context: Context) -> list[Section]:
    """The manager's sections; all carry the same problem when it does not answer."""
    try:
        status = get_json(context.settings.manager_port, "/status", timeout=10.0)
    except NotReady as error:
        problem = f"the stream manager does not answer: {error}"
        return [Section(name, title, problem=problem) for name, title in _TITLES.items()]
    _explain_off(status.get("freshness", ()), context.settings)
    return [
        Section(name, title, as_rows(status[name]))
        if name in status
        else Section(name, title, problem="not reported by the stream manager")
        for name, title in _TITLES.items()
    ]


def _explain_off(rows: Sequence[dict[str, Any]], settings: Settings) -> None:
    """Say of streams that are off what they lack."""
    if not any(row["state"] == "off" for row in rows):
        return
    from scrapers.base import find_scrapers

    scrapers = find_scrapers()
    for row in rows:
        scraper = scrapers.get(row["stream"]) if row["state"] == "off" else None
        row["why"] = (scraper and scraper.off_because(settings)) or row["why"]


def as_rows(value: Any) -> Sequence[Mapping[str, Cell]]:
    """Rows out of a list of objects, or one row a key out of an object."""
    if isinstance(value, dict):
        if value and all(isinstance(item, dict) for item in value.values()):
            return [{"name": name, **_cells(item)} for name, item in value.items()]
        return [{"name": str(name), "value": _cell(item)} for name, item in value.items()]
    if isinstance(value, list):
        return [_cells(item) for item in value if isinstance(item, dict)]
    return [{"value": _cell(value)}]


def _cells(item: Mapping[str, Any]) -> dict[str, Cell]:
    return {str(name): _cell(value) for name, value in item.items()}


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
