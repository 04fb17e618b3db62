"""The suites every adapter has to pass: materializations, tests, incremental models, snapshots."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.basic.test_adapter_methods import BaseAdapterMethod
from dbt.tests.adapter.basic.test_base import BaseSimpleMaterializations
from dbt.tests.adapter.basic.test_empty import BaseEmpty
from dbt.tests.adapter.basic.test_ephemeral import BaseEphemeral
from dbt.tests.adapter.basic.test_generic_tests import BaseGenericTests
from dbt.tests.adapter.basic.test_incremental import BaseIncremental
from dbt.tests.adapter.basic.test_singular_tests import BaseSingularTests
from dbt.tests.adapter.basic.test_singular_tests_ephemeral import BaseSingularTestsEphemeral
from dbt.tests.adapter.basic.test_snapshot_check_cols import BaseSnapshotCheckCols
from dbt.tests.adapter.basic.test_snapshot_timestamp import BaseSnapshotTimestamp
from dbt.tests.adapter.basic.test_table_materialization import BaseTableMaterialization
from dbt.tests.adapter.basic.test_validate_connection import BaseValidateConnection

# dbt-starrocks 1.12.2 has this macro with an argument less than dbt 1.11 calls it with, and leaves
# the temporary table of a snapshot behind.
SNAPSHOT_MACROS = """
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) %}
  {% if not target_exists %}{{ return((false, [])) }}{% endif %}
  {% set target = adapter.get_relation(none, node.schema, node.alias) %}
  {% set wanted = check_cols_config %}
  {% if wanted == 'all' %}{% set wanted = get_columns_in_query(node['compiled_code']) %}{% endif %}
  {% set stored = adapter.get_columns_in_relation(target) | map(attribute='name') | list %}
  {% set known = [] %}
  {% for column in wanted if column in stored %}{% do known.append(adapter.quote(column)) %}
  {% endfor %}
  {{ return((known | length < wanted | length, known)) }}
{% endmacro %}
{% macro post_snapshot(staging_relation) %}
  {% do adapter.drop_relation(staging_relation) %}
{% endmacro %}
"""
# Snapshots update rows, which StarRocks does in PRIMARY KEY tables only.
SNAPSHOT_CONFIG = {
    "+table_type": "PRIMARY",
    "+keys": ["dbt_scd_id"],
    "+distributed_by": ["dbt_scd_id"],
}
SEED_CONFIG = {"+table_type": "PRIMARY", "+keys": ["id"], "+distributed_by": ["id"]}


class TestAdapterMethods(BaseAdapterMethod):
    pass


class TestSimpleMaterializations(BaseSimpleMaterializations):
    pass


class TestEmpty(BaseEmpty):
    pass


class TestEphemeral(BaseEphemeral):
    pass


class TestGenericTests(BaseGenericTests):
    pass


class TestIncremental(BaseIncremental):
    pass


class TestSingularTests(BaseSingularTests):
    pass


class TestSingularTestsEphemeral(BaseSingularTestsEphemeral):
    pass


class TestTableMaterialization(BaseTableMaterialization):
    pass


class TestValidateConnection(BaseValidateConnection):
    pass


class TestSnapshotCheckCols(BaseSnapshotCheckCols):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, object]:
        return {
            "name": "snapshot_strategy_check_cols",
            "snapshots": SNAPSHOT_CONFIG,
            "seeds": SEED_CONFIG,
        }

    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {"snapshots.sql": SNAPSHOT_MACROS}


class TestSnapshotTimestamp(BaseSnapshotTimestamp):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, object]:
        return {
            "name": "snapshot_strategy_timestamp",
            "snapshots": SNAPSHOT_CONFIG,
            "seeds": SEED_CONFIG,
        }

    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {"snapshots.sql": SNAPSHOT_MACROS}
