"""Marts: pages by several key columns, spans of time, what held then, and items by typed keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from api.catalog.catalog import Catalog
from api.catalog.model import Collection
from api.query.cursor import cursor_of
from api.query.keys import key_filters
from api.query.parameters import asked_of, asked_of_item
from api.query.statement import count_statement, extent_statement, items_statement, order_values
from emdata.contracts.identity import key_text
from emdata.derive.starrocks import quote
from tests.starrocks.running import RunningServer

pytestmark = pytest.mark.integration
CATALOG = Catalog.of(Path(__file__).parents[3] / "dbt_project" / "models", "emergency_data", {})
DDL = {
    "string": "VARCHAR(200)",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "date-time": "DATETIME",
    "json": "VARCHAR(2000)",
}
T0 = datetime(2026, 8, 1, tzinfo=UTC)
EVENTS = (None, "e1", "e|2")
ZONES = ("COZ001", "COZ002")
HOURS = ((0, 4), (2, None), (3, 3), (5, 9))


def at(hour: int) -> datetime:
    return T0 + timedelta(hours=hour)


class Marts:
    """A server with a mart's table and rows."""

    def __init__(self, connection: pymysql.Connection[Any]) -> None:
        self._connection = connection
        self.zones = self._made("fct_alert_zone_history")
        self.rows: list[dict[str, Any]] = []
        for event, zone, (number, (start, end)) in itertools.product(
            EVENTS, ZONES, enumerate(HOURS)
        ):
            row = dict.fromkeys(self.zones.by_name)
            row |= {"event_key": event, "zone_code": zone, "alert_id": f"a{number}"}
            row |= {"state": zone[:2], "valid_from": at(start)}
            row["valid_until"] = None if end is None else at(end)
            self.rows.append(row)
        self._insert()

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            return list(cursor.fetchall())

    def keys(self, given: list[tuple[str, str]], limit: int = 1000) -> list[tuple[Any, ...]]:
        """The keys of all items, read in pages."""
        found: list[tuple[Any, ...]] = []
        cursor: list[tuple[str, str]] = []
        while True:
            query = asked_of(self.zones, [*given, ("limit", str(limit)), *cursor]).query
            statement = items_statement(query)
            rows = self.run(statement.sql, statement.values)
            places = [statement.columns.index(name) for name in self.zones.key]
            found += [tuple(row[place] for place in places) for row in rows[:limit]]
            if len(rows) <= limit:
                return found
            last = order_values(query, statement, rows[limit - 1])
            cursor = [("cursor", cursor_of(query, last))]

    def _made(self, name: str) -> Collection:
        mart = CATALOG.get(name)
        assert mart is not None
        columns = ", ".join(f"{quote(one.name)} {DDL[one.type]}" for one in mart.properties)
        self.run("CREATE DATABASE emergency_data")
        self.run(f"CREATE TABLE {mart.table} ({columns})")
        return mart

    def _insert(self) -> None:
        names = ", ".join(map(quote, self.zones.by_name))
        places = "(" + ", ".join(["%s"] * len(self.zones.by_name)) + ")"
        values = [
            value.replace(tzinfo=None) if isinstance(value, datetime) else value
            for row in self.rows
            for value in row.values()
        ]
        every = ", ".join([places] * len(self.rows))
        self.run(f"INSERT INTO {self.zones.table} ({names}) VALUES {every}", values)


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marts]:
    running = RunningServer(tmp_path_factory.mktemp("server"))
    running.start()
    try:
        with running.connect() as connection:
            yield Marts(connection)
    finally:
        running.stop()


def ordered(marts: Marts, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    keys = [tuple(row[name] for name in marts.zones.key) for row in rows]
    return sorted(keys, key=lambda key: [(part is not None, part or "") for part in key])


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_pages_by_several_columns_hold_rows_with_missing_keys_too(marts, limit):
    assert marts.keys([], limit) == ordered(marts, marts.rows)


@pytest.mark.parametrize("hour", [0, 3, 4, 6, 20])
def test_as_of_an_instant_holds_what_was_in_force(marts, hour):
    then = at(hour)
    wanted = [
        row
        for row in marts.rows
        if row["valid_from"] <= then and (row["valid_until"] is None or then < row["valid_until"])
    ]
    assert marts.keys([("as_of", then.isoformat())]) == ordered(marts, wanted)


@pytest.mark.parametrize(("start", "end"), [(4, 4), (0, 1), (4, 5), (3, 3), (30, 40), (None, 2)])
def test_datetime_holds_spans_that_share_a_moment_with_it(marts, start, end):
    first = T0 - timedelta(days=99) if start is None else at(start)
    wanted = [
        row
        for row in marts.rows
        if row["valid_from"] <= at(end)
        and (row["valid_until"] is None or row["valid_until"] > first)
    ]
    text = f"{'..' if start is None else at(start).isoformat()}/{at(end).isoformat()}"
    assert marts.keys([("datetime", text)], 7) == ordered(marts, wanted)


def test_an_item_is_found_by_its_key(marts):
    for row in marts.rows:
        key = [row[name] for name in marts.zones.key]
        if None in key:
            continue
        asked = asked_of_item(marts.zones, key_filters(marts.zones, key_text(key)), [])
        statement = items_statement(asked.query)
        assert len(marts.run(statement.sql, statement.values)) == 1


def test_counts_and_extents_come_from_the_rows(marts):
    count = count_statement(asked_of(marts.zones, [("event_key", "e1")]).query)
    assert marts.run(count.sql, count.values) == [(len(ZONES) * len(HOURS),)]
    extent = extent_statement(marts.zones)
    assert extent is not None
    # Some rows are still open, so that the end is not known.
    ((start, end),) = marts.run(extent.sql, extent.values)
    assert (start, end) == (T0.replace(tzinfo=None), None)
