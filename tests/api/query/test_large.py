"""A dataset with a million versions: pages do not rank all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from api.query.model import Filter, Statement
from api.query.parameters import asked_of, asked_of_item
from api.query.statement import (
    count_statement,
    extent_statement,
    items_statement,
    quick_statement,
)
from emdata.derive.starrocks import RAW_DATABASE, quote, raw_table_ddl
from tests.api.query.things import TABLE, THINGS, Thing
from tests.starrocks.running import RunningServer

pytestmark = pytest.mark.long
VERSIONS = 1_000_000
KEYS = VERSIONS // 2
TRIES = 3
COLUMNS = {
    "accepted_on": "DATE_ADD('2026-01-01', INTERVAL (n % 20) DAY)",
    "writer": "1",
    "seq": "n",
    "accepted_at": "DATE_ADD('2026-01-01', INTERVAL (n % 20) DAY)",
    "poll_id": "'p'",
    "record_key": f"CONCAT('place ', CAST(n % 1000 AS VARCHAR), '|', CAST(n % {KEYS} AS VARCHAR))",
    "record_version": "LPAD(CAST(n AS VARCHAR), 10, '0')",
    "content_hash": "'h'",
    "priority": "3",
    "is_simulated": "true",
    "place": "CONCAT('place ', CAST(n % 1000 AS VARCHAR))",
    "number": f"n % {KEYS}",
    "seen_at": "DATE_ADD('2026-01-01', INTERVAL (n % 20) DAY)",
    "title": "CASE WHEN n % 100 = 0 THEN 'seldom' ELSE 'often' END",
    "amount": "n / 10",
}


@pytest.fixture(scope="module")
def cursor(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pymysql.cursors.Cursor]:
    running = RunningServer(tmp_path_factory.mktemp("server"))
    running.start()
    try:
        with running.connect() as connection, connection.cursor() as made:
            made.execute(f"CREATE DATABASE {RAW_DATABASE}")
            made.execute(raw_table_ddl(Thing))
            numbers = f"SELECT generate_series AS n FROM TABLE(generate_series(1, {VERSIONS}))"
            names = ", ".join(map(quote, COLUMNS))
            made.execute(
                f"INSERT INTO {TABLE} ({names})"
                f" SELECT {', '.join(COLUMNS.values())} FROM ({numbers}) numbers"
            )
            yield made
    finally:
        running.stop()


def seconds(cursor: Any, statement: Statement | None) -> float:
    """The shortest of some tries."""
    assert statement is not None
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        cursor.execute(statement.sql, statement.values or None)
        cursor.fetchall()
        times.append(time.perf_counter() - began)
    return min(times)


def test_frequent_questions_cost_a_part_of_ranking_every_version(cursor):
    def asked(*given: tuple[str, str]):
        return asked_of(THINGS, given).query

    ranking = seconds(cursor, items_statement(asked(("sortby", "-accepted_at"))))
    key = Filter("record_key", "=", ("place 7|7",))
    cheap = {
        "page": quick_statement(asked()),
        "page of keys": items_statement(asked()),
        "page from the end": quick_statement(asked(("sortby", "-number"))),
        "page of a place": items_statement(asked(("place", "place 7"))),
        "seldom": items_statement(asked(("title", "seldom"))),
        "often": quick_statement(asked(("title", "often"))),
        "count": count_statement(asked()),
        "item": items_statement(asked_of_item(THINGS, (key,), []).query),
        "extent": extent_statement(THINGS),
    }
    shares = {name: seconds(cursor, statement) / ranking for name, statement in cheap.items()}
    shown = {name: f"{share:.2f}" for name, share in shares.items()}
    print(f"ranking every version: {ranking * 1000:.0f} ms; shares of it: {shown}")
    assert max(shares.values()) < 0.5, shown
