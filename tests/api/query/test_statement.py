"""The SQL of pages: which rows are ranked, what is bound, what StarRocks can leave unread."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from api.catalog.catalog import Catalog
from api.query.model import Filter
from api.query.parameters import asked_of, asked_of_versions
from api.query.statement import (
    count_statement,
    extent_statement,
    items_statement,
    quick_statement,
)
from tests.api.query.things import THINGS, hours

CATALOG = Catalog.of(Path(__file__).parents[3] / "dbt_project" / "models", "emergency_data")
WINDOW = "ROW_NUMBER()"


def page(*given_: tuple[str, str]):
    return items_statement(asked_of(THINGS, given_).query)


def test_a_page_in_the_order_of_keys_ranks_the_versions_of_its_keys_only():
    sql = page().sql
    keys = sql[sql.index("IN (SELECT") : sql.index("AS `page`")]
    assert "GROUP BY `record_key` ORDER BY `record_key` LIMIT 101" in keys


def test_a_condition_on_the_key_is_asked_before_the_window():
    statement = page(("place", "p"))
    inner = statement.sql[statement.sql.index(WINDOW) :]
    assert "WHERE (`place` = %s)" in inner
    assert statement.values == ("p", "p")


def test_another_condition_is_asked_of_any_version_before_and_of_the_current_one_after():
    statement = page(("title", "a"))
    assert statement.sql.count("`title` = %s") == 2
    assert statement.sql.index("`version_rank` = 1") > statement.sql.index("AS `items`")
    assert statement.values == ("a", "a")


def test_a_page_by_key_first_looks_at_the_first_versions_in_its_order():
    quick = quick_statement(asked_of(THINGS, [("title", "a"), ("limit", "10")]).query)
    assert quick is not None
    assert "ORDER BY `record_key` LIMIT 88" in quick.sql
    assert quick.sql.endswith("LIMIT 11")
    assert quick.sql.count("`title` = %s") == 2
    assert quick_statement(asked_of(THINGS, [("sortby", "title")]).query) is None


def test_as_of_names_the_partitions():
    statement = page(("as_of", "2026-01-01T03:00:00Z"))
    assert "`accepted_on` <= %s" in statement.sql
    at = hours(3).replace(tzinfo=None)
    assert at in statement.values
    assert at.date() in statement.values


def test_counting_without_conditions_ranks_nothing():
    assert WINDOW not in count_statement(asked_of(THINGS, []).query).sql
    assert WINDOW in count_statement(asked_of(THINGS, [("title", "a")]).query).sql


def test_versions_are_not_ranked():
    query = asked_of_versions(THINGS, (Filter("record_key", "=", ("p|1",)),), []).query
    sql = items_statement(query).sql
    assert WINDOW not in sql
    assert "ORDER BY `record_version` DESC, `seq` DESC, `writer` DESC LIMIT 101" in sql


def test_what_a_caller_may_see_holds_for_every_row_that_is_read():
    scope = (Filter("title", "in", ("public", "t")),)
    query = asked_of(THINGS, [("number", "1")]).query
    for statement in (items_statement(query, scope), count_statement(query, scope)):
        assert statement.sql.count("`title` IN (%s, %s)") == 2
    extent = extent_statement(THINGS, scope)
    assert extent is not None
    assert "`title` IN (%s, %s)" in extent.sql


QUESTIONS = [
    [],
    [("limit", "5"), ("sortby", "-accepted_at")],
    [("as_of", "2026-01-01"), ("properties", "record_key"), ("count", "true")],
    [("filter", "record_key LIKE 'a%' AND NOT (is_simulated = TRUE OR seq IN (1, 2))")],
    [("datetime", "2026-01-01/..")],
    [("bbox", "170,-10,-170,10")],
]


@pytest.mark.parametrize("given_", QUESTIONS)
@pytest.mark.parametrize("name", ["nws_alerts", "nasa_firms_fire_detections"])
def test_statements_are_valid_for_starrocks(name, given_):
    collection = CATALOG.get(name)
    assert collection is not None
    query = asked_of(collection, given_).query
    quick = quick_statement(query) or items_statement(query)
    extent = extent_statement(collection)
    assert extent is not None
    for statement in (items_statement(query), quick, count_statement(query), extent):
        places = statement.sql.count("%s")
        assert places == len(statement.values)
        parsed = sqlglot.parse(statement.sql.replace("%s", "?"), read="starrocks")
        assert len(parsed) == 1
