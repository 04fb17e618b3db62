"""dbt's suites of seeds, with the expected table in StarRocks' words.

Nothing cascades in StarRocks: a view stays when the seed below it is made anew.
"""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.simple_seed import seeds
from dbt.tests.adapter.simple_seed.test_seed import (
    BaseBasicSeedTests,
    BaseSeedConfigFullRefreshOff,
    BaseSeedConfigFullRefreshOn,
    BaseSeedCustomSchema,
    BaseSeedParsing,
    BaseSeedWithEmptyDelimiter,
    BaseSeedWithUniqueDelimiter,
    BaseSeedWithWrongDelimiter,
)
from dbt.tests.util import run_dbt

WORDS = {"TIMESTAMP WITHOUT TIME ZONE": "DATETIME", " TEXT": " STRING", '"': "`"}


class ExpectedTable:
    """Makes the table that the seeds are compared with."""

    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project: Any) -> None:
        text = seeds.seeds__expected_sql
        for written, meant in WORDS.items():
            text = text.replace(written, meant)
        for statement in filter(None, (part.strip() for part in text.split(";"))):
            project.run_sql(statement)


class TestOfBasicSeeds(ExpectedTable, BaseBasicSeedTests):
    def test_simple_seed_full_refresh_flag(self, project: Any) -> None:
        self._build_relations_for_test(project)
        self._check_relation_end_state(run_dbt(["seed", "--full-refresh"]), project, exists=True)


class TestOfFullRefreshOn(ExpectedTable, BaseSeedConfigFullRefreshOn):
    def test_simple_seed_full_refresh_config(self, project: Any) -> None:
        self._build_relations_for_test(project)
        self._check_relation_end_state(run_dbt(["seed"]), project, exists=True)


class TestOfFullRefreshOff(ExpectedTable, BaseSeedConfigFullRefreshOff):
    pass


class TestOfCustomSchema(ExpectedTable, BaseSeedCustomSchema):
    pass


class TestOfUniqueDelimiter(ExpectedTable, BaseSeedWithUniqueDelimiter):
    pass


class TestOfWrongDelimiter(ExpectedTable, BaseSeedWithWrongDelimiter):
    pass


class TestOfEmptyDelimiter(ExpectedTable, BaseSeedWithEmptyDelimiter):
    pass


class TestOfParsing(ExpectedTable, BaseSeedParsing):
    pass
