"""The definitions as Dagster loads them, without a server."""

from __future__ import annotations

import subprocess
import sys

import pytest
from dagster import AssetKey, DefaultScheduleStatus, DefaultSensorStatus, Definitions

from emdata.errors import ServiceError, SettingError
from emergency_pipeline.catalog import Catalog, read_catalog
from emergency_pipeline.defs.lineage.specs import lineage_specs
from emergency_pipeline.keys import flink_key, raw_key, source_key
from emergency_pipeline.site import Site, load_site

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@pytest.fixture(scope="module")
def definitions(site: Site, catalog: Catalog) -> Definitions:
    # Imported here: dbt's adapters take seconds, which every worker would spend on collecting.
    from emergency_pipeline.definitions import build_definitions

    return build_definitions(site, catalog)


def test_definitions_load_without_a_dbt_manifest(definitions: Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    assert raw_key("river_levels") in graph.get_all_asset_keys()


def test_missing_manifest_is_an_error_that_names_the_remedy_when_models_are_built(
    site: Site,
) -> None:
    from emergency_pipeline.defs.models.build import dbt_client, require_manifest

    with pytest.raises(ServiceError, match="emdata dbt parse"):
        require_manifest(site)
    with pytest.raises(ServiceError, match=r"manifest\.json"):
        dbt_client(site)


def test_schedule_runs_every_quarter_of_an_hour_by_default(definitions: Definitions) -> None:
    schedule = definitions.resolve_schedule_def("data_ingestion_schedule")
    assert schedule.cron_schedule == "*/15 * * * *"
    assert schedule.default_status is DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "data_ingestion_job"


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("data_freshness_sensor", 300), ("landing_sensor", 45), ("first_landing_sensor", 5)],
)
def test_sensors_run_by_default(definitions: Definitions, name: str, seconds: int) -> None:
    sensor = definitions.resolve_sensor_def(name)
    assert sensor.default_status is DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == seconds


def test_ingestion_job_builds_after_landing_and_reports_silence_last(
    definitions: Definitions,
) -> None:
    graph = definitions.resolve_job_def("data_ingestion_job").graph
    after = {
        name: {output.node_name for outputs in _inputs(graph, name) for output in outputs}
        for name in graph.node_dict
    }
    assert after["wait_for_landing"] == {"poll_what_is_due"}
    assert after["build_models"] == {"wait_for_landing"}
    assert after["check_contracts"] == {"build_models"}
    assert after["require_answers"] == {"poll_what_is_due", "check_contracts"}


def _inputs(graph: object, name: str) -> list[list[object]]:
    found = graph.dependency_structure.input_to_upstream_outputs_for_node(name)  # type: ignore[attr-defined]
    return list(found.values())


def test_every_job_runs_in_one_process(definitions: Definitions) -> None:
    for job in definitions.get_repository_def().get_all_jobs():
        assert job.executor_def.name == "in_process", job.name


def test_lineage_of_a_table_holds_only_its_own_source(site: Site, catalog: Catalog) -> None:
    specs = {spec.key: spec for spec in lineage_specs(catalog, site)}
    assert _upstream(specs, raw_key("river_levels")) == {
        flink_key("landing-bulk", "river_levels"),
        AssetKey(["source", "river", "river"]),
    }
    assert _upstream(specs, raw_key("warnings_hourly")) == {
        flink_key("windows-sky", "warnings_hourly"),
        AssetKey(["source", "sky", "sky"]),
    }


def test_every_contract_has_a_path_from_its_source_to_its_table(site: Site) -> None:
    catalog = read_catalog()
    specs = {spec.key: spec for spec in lineage_specs(catalog, site)}
    assert catalog.records
    for name, record in catalog.records.items():
        streams = catalog.streams_of(name)
        assert streams, f"no scraper emits {name}"
        upstream = _upstream(specs, raw_key(name))
        assert {source_key(stream) for stream in streams} <= upstream
        assert all(stream.source == record.dataset.source for stream in streams)


def test_every_contract_has_freshness_and_contract_checks(
    definitions: Definitions, catalog: Catalog
) -> None:
    checks = definitions.get_repository_def().asset_graph.asset_check_keys
    for name in catalog.records:
        names = {check.name for check in checks if check.asset_key == raw_key(name)}
        assert names == {"freshness", "required_fields_present", "one_current_row_per_key"}


def test_simulated_tables_say_so(site: Site, catalog: Catalog) -> None:
    specs = {spec.key: spec for spec in lineage_specs(catalog, site)}
    assert specs[raw_key("river_levels")].tags["simulated"] == "true"
    assert specs[source_key(catalog.streams[0])].group_name == "simulated_sources"


def test_definitions_before_the_first_start_name_the_setting(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMDATA_HOME", str(tmp_path))
    monkeypatch.setenv("SOURCES", "auto")
    with pytest.raises(SettingError, match="emdata start"):
        load_site()


def test_loading_definitions_imports_nothing_heavy() -> None:
    program = (
        "import sys, emergency_pipeline.definitions;"
        "heavy = {'great_expectations', 'pandas', 'polars', 'pyarrow', 'duckdb', 'kafka', "
        "'confluent_kafka', 'pyflink', 'httpx2', 'aiohttp'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def _upstream(specs: dict[AssetKey, object], key: AssetKey) -> set[AssetKey]:
    found: set[AssetKey] = set()
    waiting = [key]
    while waiting:
        for dep in specs[waiting.pop()].deps:  # type: ignore[attr-defined]
            if dep.asset_key not in found:
                found.add(dep.asset_key)
                waiting.append(dep.asset_key)
    return found
