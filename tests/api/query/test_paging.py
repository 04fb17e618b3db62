"""All pages together hold what was asked for, in order, each item once: on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.query.cursor import cursor_of
from api.query.parameters import asked_of
from api.query.statement import (
    count_statement,
    items_statement,
    order_values,
    quick_page,
    quick_statement,
)
from emdata.derive.starrocks import RAW_DATABASE, quote, raw_table_ddl
from tests.api.query.things import TABLE, THINGS, Row, Thing, expected, hours
from tests.starrocks.running import RunningServer

pytestmark = pytest.mark.integration
TEXTS = ["", "a", "A", "ä", "a|b", "\\", "%", "'", "a b"]
Given = list[tuple[str, str]]

things = st.builds(
    Thing,
    place=st.sampled_from(["p", "P", "ü|x"]),
    number=st.integers(0, 3),
    seen_at=st.integers(0, 6).map(hours),
    state=st.sampled_from([None, "CO", "KS"]),
    title=st.none() | st.sampled_from(TEXTS),
    amount=st.none() | st.sampled_from([-1.5, 0.0, 0.1, 3.0, 1e300]),
    counted=st.none() | st.sampled_from([-(2**63), 0, 2**63 - 1]),
    is_wet=st.none() | st.booleans(),
    seen_on=st.none() | st.integers(0, 200).map(lambda count: hours(count).date()),
    latitude=st.sampled_from([None, -10.0, 40.0]),
    longitude=st.sampled_from([None, -179.0, 0.0, 179.5]),
    revised_at=st.none() | st.integers(0, 3).map(hours),
)
accepted = st.lists(st.tuples(things, st.integers(0, 8)), max_size=24).map(
    lambda pairs: [Row(thing, seq, hours(hour)) for seq, (thing, hour) in enumerate(pairs, 1)]
)
sortable = st.sampled_from(
    ["place", "number", "title", "amount", "counted", "is_wet", "seen_on", "seen_at", "accepted_at"]
)
orders = st.lists(
    st.tuples(st.sampled_from(["", "-", "+"]), sortable), max_size=4, unique_by=lambda one: one[1]
).map(lambda parts: ",".join(sign + name for sign, name in parts))
conditions = st.recursive(
    st.sampled_from(
        [
            "amount > 0.05",
            "amount <= 3",
            "title IS NULL",
            "title IN ('a', '''', '\\')",
            "title <> 'a'",
            "is_wet = TRUE",
            "number BETWEEN 1 AND 2",
            "counted >= 9223372036854775807",
            "seen_on < DATE('2026-01-03')",
            "seen_at >= TIMESTAMP('2026-01-01T03:00:00Z')",
            "S_INTERSECTS(geometry, BBOX(-180,-20,-170,50))",
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: f"NOT ({one})"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=4,
)
choices: dict[str, st.SearchStrategy[str]] = {
    "sortby": orders.filter(bool),
    "filter": conditions,
    "bbox": st.sampled_from(["-180,-90,180,90", "170,-90,-170,90", "-1,39,1,41"]),
    "datetime": st.sampled_from(["2026-01-01T02:00:00Z", "../2026-01-01T03:00:00Z", "2026-01-01"]),
    "as_of": st.integers(0, 8).map(lambda hour: hours(hour).isoformat()),
    "state": st.sampled_from(["CO", "co,KS"]),
    "place": st.sampled_from(["p", "ü|x"]),
    "is_wet": st.sampled_from(["true", "false"]),
    "properties": st.sampled_from(["title", "amount,seen_on"]),
}
parameters = st.fixed_dictionaries({}, optional=choices).map(lambda made: list(made.items()))


class Table:
    """The table of things on a server, and the pages that a caller would get of it."""

    def __init__(self, connection: pymysql.Connection[Any]) -> None:
        self._connection = connection
        self.quick = 0

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            return list(cursor.fetchall())

    def land(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        written = [_columns(row) for row in rows]
        names = ", ".join(map(quote, written[0]))
        places = ", ".join(["(" + ", ".join(["%s"] * len(written[0])) + ")"] * len(rows))
        values = [value for one in written for value in one.values()]
        self.run(f"INSERT INTO {TABLE} ({names}) VALUES {places}", values)

    def pages(self, given_: Given, limit: int) -> Iterator[list[str]]:
        """The keys of each page; each is asked for with the cursor of the one before."""
        cursor: Given = []
        while True:
            asked = asked_of(THINGS, [*given_, ("limit", str(limit)), *cursor])
            statement = items_statement(asked.query)
            rows = self.run(statement.sql, statement.values)
            quick = quick_statement(asked.query)
            if quick is not None:
                found = quick_page(asked.query, self.run(quick.sql, quick.values))
                assert found is None or found == rows
                self.quick += found is not None
            place = statement.columns.index("record_key")
            yield [row[place] for row in rows[:limit]]
            if len(rows) <= limit:
                return
            last = order_values(asked.query, statement, rows[limit - 1])
            cursor = [("cursor", cursor_of(asked.query, last))]

    def count(self, given_: Given) -> int:
        statement = count_statement(asked_of(THINGS, given_).query)
        return int(self.run(statement.sql, statement.values)[0][0])


def _columns(row: Row) -> dict[str, Any]:
    values = row.values() | {"poll_id": "t", "content_hash": "h", "priority": 3}
    values["accepted_on"] = row.accepted_at.date()
    return {
        name: value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value
        for name, value in values.items()
    }


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    running = RunningServer(tmp_path_factory.mktemp("server"))
    running.start()
    try:
        with running.connect() as connection:
            made = Table(connection)
            made.run(f"CREATE DATABASE {RAW_DATABASE}")
            made.run(raw_table_ddl(Thing))
            yield made
    finally:
        running.stop()


ONE = Row(Thing(place="p", number=0, seen_at=hours(0), title="a"), 1, hours(0))


@given(rows=accepted, given_=parameters, limit=st.integers(1, 5))
@example(rows=[ONE], given_=[("sortby", "-title"), ("as_of", hours(8).isoformat())], limit=1)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pages_hold_all_that_is_asked_in_order_and_once(
    table: Table, rows: list[Row], given_: Given, limit: int
) -> None:
    table.run(f"TRUNCATE TABLE {TABLE}")
    table.land(rows)
    wanted = expected(rows, asked_of(THINGS, given_).query)

    found = list(itertools.chain.from_iterable(table.pages(given_, limit)))

    assert found == wanted
    assert table.count(given_) == len(wanted)


@pytest.mark.long
@given(rows=accepted, given_=parameters, limit=st.integers(1, 5))
@settings(max_examples=600, deadline=None)
def test_pages_hold_all_that_is_asked_for_many_more_questions(
    table: Table, rows: list[Row], given_: Given, limit: int
) -> None:
    table.run(f"TRUNCATE TABLE {TABLE}")
    table.land(rows)
    wanted = expected(rows, asked_of(THINGS, given_).query)
    assert list(itertools.chain.from_iterable(table.pages(given_, limit))) == wanted


@pytest.mark.parametrize("given_", [[], [("sortby", "-number")], [("place", "p")]])
def test_items_that_stay_come_once_while_others_land(table: Table, given_: Given) -> None:
    table.run(f"TRUNCATE TABLE {TABLE}")
    there = [_thing(number) for number in range(0, 60, 2)]
    table.land([Row(thing, seq, hours(0)) for seq, thing in enumerate(there, 1)])
    seqs = itertools.count(1000)
    found: list[str] = []
    before = table.quick

    for count, page in enumerate(table.pages(given_, 4)):
        found += page
        # A key between, behind and before those that are read, and a new version of each kind.
        new = [_thing(number) for number in (2 * count + 1, 100 + count, -1 - count)]
        again = [_thing(number, revised=count + 1) for number in (2 * count, 58 - 2 * count)]
        table.land([Row(thing, next(seqs), hours(1)) for thing in (*new, *again)])

    assert table.quick > before
    assert len(found) == len(set(found))
    assert {thing.record_key() for thing in there} <= set(found)


def _thing(number: int, revised: int = 0) -> Thing:
    return Thing(place="p", number=number, seen_at=hours(0), revised_at=hours(revised))
