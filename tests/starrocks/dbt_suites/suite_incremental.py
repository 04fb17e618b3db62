"""Every incremental strategy that dbt-starrocks has, where dbt's own suites ask for no other.

Left out, because neither StarRocks nor the adapter has them: merge (with excluded columns),
delete+insert with predicates.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from dbt.tests.adapter.incremental.test_incremental_microbatch import BaseMicrobatch
from dbt.tests.util import patch_microbatch_end_time, run_dbt

PARTITIONED = (
    "partition_type='Expr', partition_by=[\"date_trunc('day', at_)\"], "
    "distributed_by=['k'], buckets=1"
)
# In the second run the source has other rows: one of a known day, one of a new one.
SOURCE = """
{{ config(materialized='table') }}
{% if var('second', false) %}
select 2 as k, cast('2026-11-20 10:00:00' as datetime) as at_, 'second' as v
union all
select 4 as k, cast('2026-11-22 10:00:00' as datetime) as at_, 'second' as v
{% else %}
select 1 as k, cast('2026-11-20 09:00:00' as datetime) as at_, 'first' as v
union all
select 2 as k, cast('2026-11-20 10:00:00' as datetime) as at_, 'first' as v
union all
select 3 as k, cast('2026-11-21 09:00:00' as datetime) as at_, 'first' as v
{% endif %}
"""
FIRST = [(1, "first"), (2, "first"), (3, "first")]
SECOND = [(2, "second"), (4, "second")]


class Strategies:
    """One model with each strategy over the same source, run twice."""

    CONFIG: ClassVar[str] = ""
    AFTER: ClassVar[list[tuple[int, str]]] = []

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        config = f"{{{{ config(materialized='incremental', {self.CONFIG}) }}}}"
        return {
            "source_rows.sql": SOURCE,
            "kept.sql": f"{config}\nselect * from {{{{ ref('source_rows') }}}}",
        }

    def rows(self, project: Any) -> list[tuple[int, str]]:
        found = project.run_sql(
            f"select k, v from {project.test_schema}.kept order by k, v", fetch="all"
        )
        return [tuple(row) for row in found]

    def test_second_run(self, project: Any) -> None:
        run_dbt(["run"])
        assert self.rows(project) == FIRST
        run_dbt(["run", "--vars", "second: true"])
        assert self.rows(project) == self.AFTER
        run_dbt(["run", "--full-refresh", "--vars", "second: true"])
        assert self.rows(project) == SECOND
        tables = project.run_sql(f"show tables from {project.test_schema}", fetch="all")
        # A full refresh leaves the table that it replaced; temporary ones are gone.
        assert [row[0] for row in tables] == ["kept", "kept__dbt_backup", "source_rows"]


class TestDefaultAppends(Strategies):
    CONFIG = PARTITIONED
    AFTER: ClassVar[list[tuple[int, str]]] = sorted(FIRST + SECOND)


class TestDefaultWithAKeyUpserts(Strategies):
    CONFIG = "unique_key='k'"
    AFTER: ClassVar[list[tuple[int, str]]] = [
        (1, "first"),
        (2, "second"),
        (3, "first"),
        (4, "second"),
    ]


class TestInsertOverwriteReplacesTheTable(Strategies):
    CONFIG = f"incremental_strategy='insert_overwrite', {PARTITIONED}"
    AFTER: ClassVar[list[tuple[int, str]]] = SECOND


class TestDynamicOverwriteReplacesPartitions(Strategies):
    CONFIG = f"incremental_strategy='dynamic_overwrite', {PARTITIONED}"
    AFTER: ClassVar[list[tuple[int, str]]] = [(2, "second"), (3, "first"), (4, "second")]


INPUT = "{{ config(materialized='table', event_time='event_time') }} " + " union all ".join(
    f"select {day} as id, cast('2020-01-0{day} 00:00:00' as datetime) as event_time"
    for day in (1, 2, 3)
)
MICROBATCH = """
{{ config(materialized='incremental', incremental_strategy='microbatch',
    event_time='event_time', batch_size='day', partition_type='Expr',
    partition_by=["date_trunc('day', event_time)"], distributed_by=['id'],
    microbatch_use_dynamic_overwrite=true,
    begin=modules.datetime.datetime(2020, 1, 1, 0, 0, 0)) }}
select * from {{ ref('input_model') }}
"""


class TestOfMicrobatch(BaseMicrobatch):
    """dbt's suite, with times as StarRocks writes them and a day of its own for each partition."""

    @pytest.fixture(scope="class")
    def input_model_sql(self) -> str:
        return INPUT

    @pytest.fixture(scope="class")
    def microbatch_model_sql(self) -> str:
        return MICROBATCH

    @pytest.fixture(scope="class")
    def insert_two_rows_sql(self, project: Any) -> str:
        return (
            f"insert into {project.test_schema}.input_model (id, event_time) values "
            "(4, '2020-01-04 00:00:00'), (5, '2020-01-05 00:00:00')"
        )


class TestMicrobatchWithoutDynamicOverwrite:
    """As the adapter has it: each batch replaces the whole table, so the last one is left."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "input_model.sql": INPUT,
            "microbatch_model.sql": MICROBATCH.replace("overwrite=true", "overwrite=false"),
        }

    def test_last_batch_is_left(self, project: Any) -> None:
        with patch_microbatch_end_time("2020-01-03 13:57:00"):
            run_dbt(["run"])
            run_dbt(["run", "--select", "microbatch_model"])
        rows = project.run_sql(
            f"select id from {project.test_schema}.microbatch_model", fetch="all"
        )
        assert [row[0] for row in rows] == [3]
