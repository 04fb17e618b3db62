"""Which version of the data an answer is made of, and how new its newest row is.

One statement a second asks StarRocks for the visible versions of all tables; nothing that is read
from StarRocks for a request is needed for it. Source: StarRocks 3.5 documentation,
"information_schema.partitions_meta".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api.catalog.model import Collection
from api.problems import Problem
from api.query.model import Statement
from api.reading.reader import Reader, Row
from api.reading.views import Table, Views, tables_of
from emdata.clock import Clock
from emdata.derive.starrocks import quote
from emdata.errors import WarehouseError, WarehouseUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
POLL_SECONDS = 1.0
UNKNOWN_AFTER_SECONDS = 5.0
"""With no answer for so long, versions count as unknown and nothing is answered from a cache."""
NAMES_EVERY = 15
"""Names of tables and definitions of views are read again so many polls later."""
LIVE_SECONDS = 1.0
"""A view over the present moment has a new version this often, although no row has changed."""
_FIRST_PRIORITY = 0
_SECONDS = 5.0
# A number of its own for every set of partitions and versions; versions of real partitions are
# small, those of the embedded StarRocks have their starts in the upper bits (MAX).
_VERSIONS = """SELECT DB_NAME, TABLE_NAME, COUNT(*) AS partitions, SUM(PARTITION_ID) AS ids,
MAX(VISIBLE_VERSION) AS newest, SUM(VISIBLE_VERSION % 4294967296) AS versions
FROM information_schema.partitions_meta WHERE DB_NAME IN ({}) GROUP BY DB_NAME, TABLE_NAME"""
_VIEWS = """SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.views
WHERE TABLE_SCHEMA IN ({})"""

_TABLES = """SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.tables
WHERE TABLE_SCHEMA IN ({})"""
ACCEPTED_COLUMNS = ("accepted_at", "last_accepted_at")
"""A mart's column that says when what a row was made of was accepted; the first that is there."""
_EMPTY = "empty"
"""The version of a table without a partition."""


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One state of a collection. token: the same token, the same rows; it has no order.

    newest_accepted_at: when the newest row was accepted, UTC; None where rows do not say it, as
    those of some marts.
    """

    token: str
    newest_accepted_at: datetime | None = None


class Versions:
    """The versions of all collections, at most some seconds old."""

    def __init__(self, reader: Reader, collections: Iterable[Collection], clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._collections = {one.id: one for one in collections}
        self._databases = sorted({_table(one)[0] for one in self._collections.values()})
        self._tables: dict[Table, str] = {}
        self._names: frozenset[Table] = frozenset()
        self._views = Views()
        self._newest: dict[Table, tuple[str, datetime | None]] = {}
        self._known: Mapping[str, DataVersion | None] = {}
        self._read_at: float | None = None
        self._polls = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Poll from now on, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def of(self, collection_id: str) -> DataVersion | None:
        """Return the version that StarRocks showed last; None when that is too long ago."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at > UNKNOWN_AFTER_SECONDS:
            return None
        known = self._known.get(collection_id)
        if known is None or not self._collections[collection_id].changes_with_time:
            return known
        return DataVersion(f"{known.token}-{int(now / LIVE_SECONDS)}", known.newest_accepted_at)

    async def poll(self) -> None:
        """Ask StarRocks once. Raises as ``Reader.rows``."""
        began = self._clock.monotonic()
        if self._polls % NAMES_EVERY == 0:
            named = await self._rows(_TABLES.format(self._marks()), self._databases)
            self._names = frozenset((str(db), str(name)) for db, name in named)
            found = await self._rows(_VIEWS.format(self._marks()), self._databases)
            # Parsing SQL takes a while; others are answered meanwhile.
            self._views = await asyncio.to_thread(self._views.updated, found)
        self._polls += 1
        rows = await self._rows(_VERSIONS.format(self._marks()), self._databases)
        self._tables = {(str(db), str(name)): _digest(rest) for db, name, *rest in rows}
        await self._look_for_newest()
        self._known = {one.id: self._version(one) for one in self._collections.values()}
        self._read_at = began

    async def _run(self) -> None:
        is_away = False
        while True:
            try:
                await self.poll()
                if is_away:
                    log.info("api_versions_back")
                is_away = False
            except (Problem, WarehouseUnavailable, WarehouseError) as error:
                if not is_away:
                    log.warning("api_versions_unknown", error=str(error)[:300])
                is_away = True
            await asyncio.sleep(POLL_SECONDS)

    def _version(self, collection: Collection) -> DataVersion | None:
        """The version by all tables under the collection; None when one of them is unknown."""
        place = _table(collection)
        bases = sorted(tables_of(place, self._views))
        versions = [self._tables.get(each) or self._empty(each) for each in bases]
        if None in versions:
            return None
        parts = [*bases, *versions, self._views.definition(place)]
        known = [self._newest[each][1] for each in bases if each in self._newest]
        newest = [one for one in known if one is not None]
        return DataVersion(_digest(parts), max(newest) if newest else None)

    def _empty(self, table: Table) -> str | None:
        return _EMPTY if table in self._names else None

    async def _look_for_newest(self) -> None:
        """Ask for the newest row of the datasets that have changed, and of such marts."""
        changed: list[Table] = []
        for one in self._collections.values():
            table, column = _table(one), _accepted_column(one)
            token = self._tables.get(table)
            if token is None or column is None or self._newest.get(table, ("",))[0] == token:
                continue
            if one.is_dataset:
                changed.append(table)
            else:
                await self._look_for_newest_of_mart(table, column, token)
        parts = [
            f"SELECT {number} AS number, {_newest_of(table, ACCEPTED_COLUMNS[0])}"
            for number, table in enumerate(changed)
        ]
        for number, newest in await self._rows(" UNION ALL ".join(parts), ()) if parts else ():
            self._newest[changed[number]] = (self._tables[changed[number]], _utc(newest))

    async def _look_for_newest_of_mart(self, table: Table, column: str, token: str) -> None:
        """A mart may be exchanged in this moment, or be of a release before: then it is unknown."""
        try:
            ((newest,),) = await self._rows(f"SELECT {_newest_of(table, column)}", ())
        except WarehouseError as error:
            log.info("api_newest_unknown", table=".".join(table), error=str(error)[:200])
            newest = None
        self._newest[table] = (token, _utc(newest))

    def _marks(self) -> str:
        return ", ".join(["%s"] * len(self._databases))

    async def _rows(self, sql: str, values: Sequence[str]) -> list[Row]:
        # "%" of the text is no mark where values are bound.
        text = sql.replace(" % ", " %% ") if values else sql
        statement = Statement(text, tuple(values), ())
        return await self._reader.rows(statement, seconds=_SECONDS, priority=_FIRST_PRIORITY)


def _table(collection: Collection) -> Table:
    database, _, name = collection.table.partition(".")
    return database, name


def _accepted_column(collection: Collection) -> str | None:
    """The envelope of datasets has it; a mart names it among its properties, or has none."""
    if collection.is_dataset:
        return ACCEPTED_COLUMNS[0]
    return next((name for name in ACCEPTED_COLUMNS if name in collection.by_name), None)


def _newest_of(table: Table, column: str) -> str:
    db, name = map(quote, table)
    return f"MAX({quote(column)}) AS newest FROM {db}.{name}"


def _utc(value: object) -> datetime | None:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


def _digest(parts: Iterable[object]) -> str:
    return hashlib.blake2b(repr(list(map(str, parts))).encode(), digest_size=8).hexdigest()
