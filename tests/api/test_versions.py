"""Which tables a collection's version follows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from api.catalog.model import Collection, Property
from api.query.model import Statement
from api.reading.reader import Address, Reader, Row
from api.reading.versions import NAMES_EVERY, UNKNOWN_AFTER_SECONDS, Versions
from api.reading.views import UNREAD, Views, read_by, tables_of
from emdata.clock import ManualClock
from emdata.errors import WarehouseError

DB = "emergency_data"


def _collection(name: str, **changes: Any) -> Collection:
    given: dict[str, Any] = {
        "id": name,
        "title": name,
        "description": "",
        "table": f"{DB}.{name}",
        "key": ("k",),
        "properties": (Property("k", "integer", ""),),
        "domain": "test",
        "terms": "",
        **changes,
    }
    return Collection(**given)


class _StarRocks(Reader):
    """Answers the three statements of a poll from what a test sets."""

    def __init__(self) -> None:
        super().__init__(Address("127.0.0.1", 1, "", ""), 1)
        self.versions: dict[str, int] = {}
        self.views: dict[str, str] = {}
        self.asked: list[str] = []

    async def rows(
        self, statement: Statement, *, seconds: float = 10.0, priority: int = 3
    ) -> list[Row]:
        """See Reader."""
        self.asked.append(statement.sql)
        if "partitions_meta" in statement.sql:
            return [(DB, name, 1, 7, number, number) for name, number in self.versions.items()]
        if "information_schema.views" in statement.sql:
            return [(DB, name, text) for name, text in self.views.items()]
        return [(DB, name) for name in (*self.versions, *self.views)]


def _polled(starrocks: _StarRocks, versions: Versions, times: int = 1) -> None:
    async def run() -> None:
        for _ in range(times):
            await versions.poll()

    asyncio.run(run())


def _tokens(versions: Versions, names: Sequence[str]) -> list[str | None]:
    return [None if (found := versions.of(name)) is None else found.token for name in names]


def test_a_version_changes_with_any_table_under_it_and_with_nothing_else() -> None:
    starrocks, clock = _StarRocks(), ManualClock()
    names = ("plain", "a_view", "view_of_view", "other")
    versions = Versions(starrocks, map(_collection, names), clock)
    starrocks.versions = {"plain": 1, "base": 1, "other": 1}
    starrocks.views = {
        "a_view": f"WITH c AS (SELECT k FROM {DB}.base) SELECT c.k FROM c JOIN `{DB}`.`plain` p",
        "view_of_view": "SELECT k FROM a_view",
    }
    _polled(starrocks, versions)
    before = _tokens(versions, names)
    assert None not in before
    starrocks.versions["base"] = 2
    _polled(starrocks, versions)
    after = _tokens(versions, names)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False, True]
    starrocks.views["view_of_view"] = "SELECT k FROM a_view WHERE k > 1"
    _polled(starrocks, versions, NAMES_EVERY)
    changed = _tokens(versions, names)
    assert [a == b for a, b in zip(after, changed, strict=True)] == [True, True, False, True]


def test_what_is_under_an_unknown_table_or_an_unreadable_view_has_no_version() -> None:
    starrocks = _StarRocks()
    names = ("dangling", "unreadable", "missing")
    versions = Versions(starrocks, map(_collection, names), ManualClock())
    starrocks.views = {"dangling": "SELECT 1 FROM nowhere.t", "unreadable": "SELECT FROM WHERE ("}
    _polled(starrocks, versions)
    assert _tokens(versions, names) == [None, None, None]
    starrocks.versions["missing"] = 1
    _polled(starrocks, versions)
    assert _tokens(versions, ["missing"]) != [None]


def test_versions_of_long_ago_count_as_unknown() -> None:
    starrocks, clock = _StarRocks(), ManualClock()
    versions = Versions(starrocks, [_collection("plain")], clock)
    assert versions.of("plain") is None
    starrocks.versions = {"plain": 1}
    _polled(starrocks, versions)
    clock.advance(UNKNOWN_AFTER_SECONDS)
    assert versions.of("plain") is not None
    clock.advance(0.1)
    assert versions.of("plain") is None


def test_a_view_over_the_present_moment_has_a_new_version_each_second() -> None:
    starrocks, clock = _StarRocks(), ManualClock()
    versions = Versions(starrocks, [_collection("live", changes_with_time=True)], clock)
    starrocks.versions = {"live": 1}
    _polled(starrocks, versions)
    first = _tokens(versions, ["live"])
    clock.advance(0.4)
    assert _tokens(versions, ["live"]) == first
    clock.advance(0.7)
    assert _tokens(versions, ["live"]) != first


def test_definitions_are_read_with_their_own_words() -> None:
    sql = (
        "WITH latest AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n "
        "FROM raw_data.t) SELECT a.k FROM latest AS a LEFT JOIN dims AS d ON a.k = d.k "
        "WHERE a.k IN (SELECT k FROM raw_data.u) UNION ALL SELECT k FROM `raw_data`.`w`"
    )
    expected = {("raw_data", "t"), (DB, "dims"), ("raw_data", "u"), ("raw_data", "w")}
    assert read_by(sql, DB) == expected
    views = Views().updated([(DB, "bad", "SELECT (")])
    assert tables_of((DB, "bad"), views) == {UNREAD}


def test_the_newest_row_of_a_dataset_is_looked_for_when_it_has_changed() -> None:
    class Datasets(_StarRocks):
        newest = datetime.fromisoformat("2026-11-21 10:00:00")

        async def rows(
            self, statement: Statement, *, seconds: float = 10.0, priority: int = 3
        ) -> list[Row]:
            if "MAX(`accepted_at`)" in statement.sql:
                self.asked.append(statement.sql)
                return [(0, self.newest)]
            return await super().rows(statement, seconds=seconds, priority=priority)

    from emdata.contracts.fema import DisasterDeclaration

    starrocks = Datasets()
    dataset = _collection("declarations", record=DisasterDeclaration)
    versions = Versions(starrocks, [dataset], ManualClock())
    starrocks.versions = {"declarations": 1}
    _polled(starrocks, versions, 3)
    found = versions.of("declarations")
    assert found is not None
    assert found.newest_accepted_at == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert len([one for one in starrocks.asked if "MAX(`accepted_at`)" in one]) == 1


def test_a_mart_says_its_newest_row_where_its_rows_do_and_stops_nothing_where_it_cannot() -> None:
    class Marts(_StarRocks):
        async def rows(
            self, statement: Statement, *, seconds: float = 10.0, priority: int = 3
        ) -> list[Row]:
            if "`exchanged`" in statement.sql:
                raise WarehouseError("Unknown table 'exchanged'")
            if "MAX(`last_accepted_at`)" in statement.sql:
                return [(datetime.fromisoformat("2026-11-21 10:00:00"),)]
            return await super().rows(statement, seconds=seconds, priority=priority)

    starrocks = Marts()
    column = Property("last_accepted_at", "date-time", "")
    made = [
        _collection("days", properties=(column,)),
        _collection("exchanged", properties=(column,)),
        _collection("plain"),
    ]
    versions = Versions(starrocks, made, ManualClock())
    starrocks.versions = {"days": 1, "exchanged": 1, "plain": 1}
    _polled(starrocks, versions)
    found = {name: versions.of(name) for name in starrocks.versions}
    assert None not in found.values()
    newest = {name: one.newest_accepted_at for name, one in found.items() if one is not None}
    assert newest == {"days": datetime(2026, 11, 21, 10, tzinfo=UTC), "exchanged": None,
                      "plain": None}  # fmt: skip
