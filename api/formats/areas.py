"""The areas that an alert names: what CAP shows of them lies in a dataset of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from api.access.caller import Caller
from api.access.visibility import row_scope, visible
from api.catalog.model import Collection
from api.context import Api
from api.formats import cap
from api.formats.model import Document, Format
from api.query.model import Filter, ItemsQuery
from api.query.statement import items_statement

_COLUMNS = ("alert_id", "code_type", "zone_code")
MOST = 5_000
"""More areas than any message has; there are about 3,200 counties."""


async def with_areas(
    api: Api, caller: Caller, form: Format, document: Document, row: Sequence[Any]
) -> Document:
    """Return the document of an alert with its areas, where the format shows them.

    Raises as the reader does.
    """
    areas = _areas_of(api, caller, document.collection) if form.name == "cap" else None
    if areas is None or "alert_id" not in document.layout:
        return document
    alert_id = row[document.layout.index("alert_id")]
    query = ItemsQuery(
        areas,
        filters=(Filter("alert_id", "=", (alert_id,)),),
        properties=_COLUMNS,
        limit=MOST,
    )
    statement = items_statement(query, row_scope(areas, caller))
    rows = await api.reader.rows(
        statement, seconds=caller.policy.query_seconds, priority=caller.policy.priority
    )
    kind, code = (statement.columns.index(name) for name in _COLUMNS[1:])
    zones = sorted({(str(one[kind]), str(one[code])) for one in rows}, key=_order)
    return replace(document, extra={**document.extra, cap.ZONES: zones})


def _order(zone: tuple[str, str]) -> tuple[bool, str]:
    """SAME before UGC, as the NWS writes them."""
    return zone[0] != "same", zone[1]


def _areas_of(api: Api, caller: Caller, alerts: Collection) -> Collection | None:
    return next(
        (
            one
            for one in visible(api.catalog, caller)
            if one.is_dataset
            and one.domain == alerts.domain
            and one.by_name.keys() >= set(_COLUMNS)
        ),
        None,
    )
