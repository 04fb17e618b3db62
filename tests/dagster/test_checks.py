"""The SQL of contract checks, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from dagster import AssetCheckResult

from emdata.contracts import contracts
from emdata.warehouse import Warehouse
from emergency_pipeline.defs.landing.checks import (
    ONE_CURRENT,
    REQUIRED,
    contract_evaluations,
    contract_results,
    current_sql,
    required_sql,
)
from tests.dagster.world import Level


class Answers(Warehouse):
    """A warehouse whose counts are given; the SQL itself is run by the integration test."""

    def __init__(self, bad: int, keys: int, rows: int, staged: int) -> None:
        self._bad, self._counts = bad, (keys, rows, staged)

    def query(self, sql: str, args: Any = None) -> list[dict[str, Any]]:
        """Answer the two statements of a check."""
        if "AS bad" in sql:
            return [{"bad": self._bad}]
        names = ("key_count", "row_count", "staged_keys")
        return [dict(zip(names, self._counts, strict=True))]


def _results(warehouse: Warehouse) -> dict[str | None, AssetCheckResult]:
    found = contract_results(Level, warehouse, models="emergency_data")
    return {result.check_name: result for result in found}


def test_required_fields_are_those_the_contract_does_not_let_be_null() -> None:
    sql = required_sql(Level)
    assert "`gauge_id` IS NULL" in sql
    assert "`observed_at` IS NULL" in sql
    assert "level_m" not in sql


@pytest.mark.parametrize("name", sorted(contracts()))
def test_checks_of_every_contract_are_starrocks_sql(name: str) -> None:
    record = contracts()[name]
    for sql in (required_sql(record), current_sql(record, "emergency_data")):
        assert len(sqlglot.parse(sql, dialect="starrocks")) == 1


def test_checks_pass_when_every_key_has_one_current_row() -> None:
    results = _results(Answers(bad=0, keys=7, rows=7, staged=7))
    assert results[REQUIRED].passed
    assert results[ONE_CURRENT].passed


@pytest.mark.parametrize(("keys", "rows", "staged"), [(7, 8, 7), (7, 6, 6), (6, 7, 7)])
def test_a_key_with_no_or_two_current_rows_fails(keys: int, rows: int, staged: int) -> None:
    results = _results(Answers(bad=0, keys=keys, rows=rows, staged=staged))
    assert not results[ONE_CURRENT].passed


def test_a_row_without_a_required_field_fails_and_is_counted() -> None:
    evaluations = {
        evaluation.check_name: evaluation
        for evaluation in contract_evaluations(
            [Level], Answers(bad=2, keys=1, rows=1, staged=1), models="emergency_data"
        )
    }
    assert not evaluations[REQUIRED].passed
    assert evaluations[REQUIRED].metadata["rows that lack a required field"].value == 2
