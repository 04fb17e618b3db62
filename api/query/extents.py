"""Where and when a collection's rows are, from the rows themselves, remembered for a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from api.catalog.model import Collection
from api.problems import Problem
from api.query.model import Box, Filter, Statement
from api.query.statement import extent_statement
from emdata.errors import WarehouseError, WarehouseUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
KEPT = timedelta(seconds=60)
SECONDS = 5.0
"""How long StarRocks may take; a description without an extent is better than none."""
MOST_KEPT = 1000


class Rows(Protocol):
    """Runs a statement, as ``Reader.rows`` does."""

    async def __call__(self, statement: Statement, *, seconds: float) -> Sequence[Sequence[Any]]:
        """Return all rows."""
        ...


@dataclass(frozen=True, slots=True)
class Extent:
    """box: None without a geometry or rows. start, end: first and last time, in UTC; None: open."""

    box: Box | None = None
    start: datetime | None = None
    end: datetime | None = None


class Extents:
    """Extents by collection and by what a caller may see of it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[datetime, Extent]] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}

    async def of(
        self,
        rows: Rows,
        collection: Collection,
        scope: Sequence[Filter],
        view: Hashable,
        now: datetime,
    ) -> Extent:
        """Return the extent of what a caller sees; ``view`` names what they see.

        An empty one where it cannot be found out now, such as of a mart that is not built yet.
        """
        key = (collection.id, view)
        if len(self._kept) > MOST_KEPT:
            self._kept.clear()
            self._locks.clear()
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is not None and now - kept[0] < KEPT:
                return kept[1]
            extent = await _found(rows, collection, scope)
            self._kept[key] = (now, extent)
            return extent


async def _found(rows: Rows, collection: Collection, scope: Sequence[Filter]) -> Extent:
    statement = extent_statement(collection, scope)
    if statement is None:
        return Extent()
    try:
        found = await rows(statement, seconds=SECONDS)
    except (Problem, WarehouseError, WarehouseUnavailable) as error:
        log.info("api_extent_unknown", collection=collection.id, error=str(error)[:200])
        return Extent()
    values = dict(zip(statement.columns, found[0], strict=True))
    return Extent(_box(values), _instant(values.get("start")), _instant(values.get("end")))


def _box(values: dict[str, Any]) -> Box | None:
    edges = [values.get(name) for name in ("west", "south", "east", "north")]
    if any(edge is None for edge in edges):
        return None
    west, south, east, north = map(float, edges)  # type: ignore[arg-type]
    return Box(west, south, east, north)


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None
