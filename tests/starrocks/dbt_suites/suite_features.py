"""Caching, snapshots, materialized views, docs: dbt's suites, with what StarRocks writes otherwise.

A relation of dbt-starrocks has no database, tables that are updated need a primary key, and `||`
is OR: the suites are changed there and nowhere else.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pymysql
import pytest
from dbt.tests.adapter.basic import expected_catalog
from dbt.tests.adapter.basic.test_docs_generate import BaseDocsGenerate, BaseDocsGenReferences
from dbt.tests.adapter.caching.test_caching import (
    BaseCachingLowercaseModel,
    BaseCachingSelectedSchemaOnly,
    BaseCachingTest,
    BaseNoPopulateCache,
)
from dbt.tests.adapter.catalog.relation_types import CatalogRelationTypes
from dbt.tests.adapter.materialized_view.basic import MaterializedViewBasic
from dbt.tests.adapter.simple_snapshot.test_snapshot import (
    BaseSimpleSnapshot,
    BaseSimpleSnapshotBase,
    BaseSnapshotCheck,
)
from dbt.tests.util import get_model_file, run_dbt, set_model_file

from tests.starrocks.dbt_suites.macros import (
    COMMENT_MACROS,
    HARD_DELETES,
    SEED_CONFIG,
    SNAPSHOT_CONFIG,
    SNAPSHOT_MACROS,
)
from tests.starrocks.running import RunningServer


class WithoutDatabase(BaseCachingTest):
    """The suite compares the relations' databases, too, of which there is none."""

    def run_and_inspect_cache(self, project: Any, run_args: Any = None) -> None:
        run_dbt(run_args)
        (first,) = project.adapter.cache.relations
        run_dbt(run_args)
        (second,) = project.adapter.cache.relations
        assert first.schema == second.schema == project.test_schema
        assert first.identifier.lower() == second.identifier.lower() == "model"
        assert first.database is second.database is None


class TestCachingLowercaseModel(WithoutDatabase, BaseCachingLowercaseModel):
    pass


class TestCachingSelectedSchemaOnly(WithoutDatabase, BaseCachingSelectedSchemaOnly):
    def test_cache(self, project: Any) -> None:
        self.run_and_inspect_cache(project, ["--cache-selected-only", "run", "--select", "model"])


class TestNoPopulateCache(WithoutDatabase, BaseNoPopulateCache):
    def test_cache(self, project: Any) -> None:
        self.run_and_inspect_cache(project, ["--no-populate-cache", "run"])


class TestOfMaterializedViews(MaterializedViewBasic):
    """Made, refreshed by hand, and put in place of tables and views, and back."""

    @staticmethod
    def insert_record(project: Any, table: Any, record: tuple[int, int]) -> None:
        project.run_sql(f"insert into {table} values {record}")

    @staticmethod
    def refresh_materialized_view(project: Any, materialized_view: Any) -> None:
        project.run_sql(f"refresh materialized view {materialized_view} with sync mode")

    @staticmethod
    def query_row_count(project: Any, relation: Any) -> int:
        return int(project.run_sql(f"select count(*) from {relation}", fetch="one")[0])

    @staticmethod
    def query_relation_type(project: Any, relation: Any) -> str | None:
        where = f"where table_schema = '{relation.schema}' and table_name = '{relation.identifier}'"
        found = project.run_sql(
            f"select table_name from information_schema.materialized_views {where}", fetch="all"
        )
        if found:
            return "materialized_view"
        (row,) = project.run_sql(
            f"select table_type from information_schema.tables {where}", fetch="all"
        )
        return {"BASE TABLE": "table", "VIEW": "view"}[row[0]]

    @pytest.fixture(autouse=True)
    def setup(self, project: Any, my_materialized_view: Any) -> Any:
        """As in the suite, but DROP DATABASE knows no CASCADE."""
        run_dbt(["seed"])
        run_dbt(["run", "--models", my_materialized_view.identifier, "--full-refresh"])
        initial_model = get_model_file(project, my_materialized_view)
        yield
        set_model_file(project, my_materialized_view, initial_model)
        project.run_sql(f"drop database if exists {project.test_schema} force")


class TestOfCatalogTypes(CatalogRelationTypes):
    """The adapter's names: a materialized view is a view to information_schema.tables."""

    @pytest.mark.parametrize(
        ("node_name", "relation_type"),
        [
            ("seed.test.my_seed", "table"),
            ("model.test.my_table", "table"),
            ("model.test.my_view", "view"),
            ("model.test.my_materialized_view", "view"),
        ],
    )
    def test_relation_types_populate_correctly(
        self, docs: Any, node_name: str, relation_type: str
    ) -> None:
        super().test_relation_types_populate_correctly(docs, node_name, relation_type)


class CatalogOfStarRocks:
    """Types as StarRocks calls them; the adapter tells no owner and no statistics."""

    NAMES: ClassVar[dict[str, Any]] = {
        "role": None,
        "id_type": "bigint",
        "text_type": "varchar",
        "time_type": "datetime",
        "view_type": "view",
        "table_type": "table",
        "model_stats": expected_catalog.no_stats(),
    }


class TestOfDocsGenerate(CatalogOfStarRocks, BaseDocsGenerate):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: Any) -> Any:
        return without_database(expected_catalog.base_expected_catalog(project, **self.NAMES))

    @pytest.fixture(scope="class")
    def snapshots(self) -> dict[str, str]:
        return {}


class TestOfDocsGenReferences(CatalogOfStarRocks, BaseDocsGenReferences):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: Any) -> Any:
        return without_database(
            expected_catalog.expected_references_catalog(
                project, bigint_type="bigint", **self.NAMES
            )
        )

    @pytest.fixture(scope="class")
    def snapshots(self) -> dict[str, str]:
        return {}


def without_database(catalog: dict[str, Any]) -> dict[str, Any]:
    for nodes in catalog.values():
        for node in nodes.values():
            node["metadata"]["database"] = None
    return catalog


class SnapshotsOfKeyedTables(BaseSimpleSnapshotBase):
    """The source is updated by the suite, so it has a primary key."""

    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {"snapshots.sql": SNAPSHOT_MACROS + HARD_DELETES}

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"snapshots": SNAPSHOT_CONFIG, "seeds": SEED_CONFIG}

    def create_fact_from_seed(self, where: str = "") -> None:
        fact = f"{self.project.test_schema}.fact"
        self.project.run_sql(f"drop table if exists {fact}")
        self.project.run_sql(
            f"create table {fact} primary key (id) distributed by hash(id) as "
            f"select * from {self.project.test_schema}.seed where {where}"
        )

    def add_fact_column(self, column: str = "", definition: str = "") -> None:
        self.project.run_sql(
            f"alter table {self.project.test_schema}.fact add column {column} {definition}"
        )

    def update_fact_records(self, updates: dict[str, str], where: str = "") -> None:
        written = {
            "updated_at + interval '1 day'": "date_add(updated_at, interval 1 day)",
            "first_name || ' ' || last_name": "concat(first_name, ' ', last_name)",
        }
        super().update_fact_records(
            {name: written.get(value, value) for name, value in updates.items()}, where
        )


class TestOfSnapshots(SnapshotsOfKeyedTables, BaseSimpleSnapshot):
    pass


class TestOfSnapshotsWithCheck(SnapshotsOfKeyedTables, BaseSnapshotCheck):
    pass


class TestGrantsByHooks:
    """The adapter has no grants of its own; a hook's GRANT goes with each new table and view."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        grant = "grant select on {} {{{{ this }}}} to user dbt_reader"
        return {
            f"a_{kind}.sql": (
                f"{{{{ config(materialized='{kind}', post_hook=\"{grant.format(kind)}\") }}}} "
                "select 1 as k"
            )
            for kind in ("table", "view")
        }

    def test_the_user_of_a_hook_reads(self, project: Any, warehouse: RunningServer) -> None:
        warehouse.query("DROP USER IF EXISTS dbt_reader")
        warehouse.query("CREATE USER dbt_reader IDENTIFIED BY 'r'")
        login = {"user": "dbt_reader", "password": "r"}
        for _ in range(2):
            run_dbt(["run"])
            for kind in ("table", "view"):
                query = f"SELECT k FROM {project.test_schema}.a_{kind}"
                assert warehouse.query(query, **login) == [(1,)]
        shown = [row[2] for row in warehouse.query("SHOW GRANTS FOR dbt_reader")]
        for kind in ("TABLE", "VIEW"):
            name = f"{project.test_schema}.a_{kind.lower()}"
            assert f"GRANT SELECT ON {kind} {name} TO USER 'dbt_reader'@'%'" in shown
        with pytest.raises(pymysql.err.MySQLError) as refused:
            warehouse.query(f"DELETE FROM {project.test_schema}.a_table WHERE k = 1", **login)
        assert refused.value.args[0] == 1142


class TestPersistDocsByMacros:
    """The descriptions of an incremental model become comments of its table and columns."""

    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        return {"comments.sql": COMMENT_MACROS}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        config = "materialized='incremental', persist_docs={'relation': true, 'columns': true}"
        return {
            "told.sql": f"{{{{ config({config}) }}}} select 1 as k, 'a' as v",
            "schema.yml": """
models:
  - name: told
    description: "All that's told"
    columns:
      - name: v
        description: "What it's \\"called\\""
""",
        }

    def test_descriptions_are_comments(self, project: Any) -> None:
        where = f"where table_schema = '{project.test_schema}' and table_name = 'told'"
        for _ in range(2):
            run_dbt(["run"])
            (table,) = project.run_sql(
                f"select table_comment from information_schema.tables {where}", fetch="all"
            )
            assert table[0] == "All that's told"
            columns = project.run_sql(
                f"select column_name, column_comment from information_schema.columns {where} "
                "order by ordinal_position",
                fetch="all",
            )
            assert [tuple(row) for row in columns] == [("k", ""), ("v", 'What it\'s "called"')]
