"""Dagster's three processes on a real PostgreSQL and the embedded StarRocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flink_jobs.windows import window_table_ddl, window_tables, window_view_ddl
from tests.dagster.graphql import ask, ended, launch
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SERVERS = "postgres,starrocks,dagster-code,dagster-web,dagster-daemon"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only=SERVERS) as found:
        for table in window_tables():
            found.warehouse().execute(
                window_table_ddl(table, "0" * 64), window_view_ddl(table, "0" * 64)
            )
        yield found


def test_schedules_and_sensors_run_without_anybody_switching_them_on(platform: Platform) -> None:
    repository = ask(
        platform,
        """{ repositoriesOrError { ... on RepositoryConnection { nodes {
        schedules { name cronSchedule scheduleState { status } }
        sensors { name sensorState { status } } } } } }""",
    )["repositoriesOrError"]["nodes"][0]
    schedules = {item["name"]: item for item in repository["schedules"]}
    assert schedules["data_ingestion_schedule"]["cronSchedule"] == "*/15 * * * *"
    assert {item["scheduleState"]["status"] for item in schedules.values()} == {"RUNNING"}
    states = {item["name"]: item["sensorState"]["status"] for item in repository["sensors"]}
    assert states == dict.fromkeys(
        ("data_freshness_sensor", "first_landing_sensor", "landing_sensor"), "RUNNING"
    )


def test_lineage_runs_from_every_source_to_its_staging_model(platform: Platform) -> None:
    nodes = ask(
        platform,
        "{ assetNodes { assetKey { path } dependencyKeys { path } isMaterializable } }",
    )["assetNodes"]
    deps = {
        tuple(node["assetKey"]["path"]): {tuple(key["path"]) for key in node["dependencyKeys"]}
        for node in nodes
    }
    staging = [key for key in deps if key[-1].startswith("stg_")]
    assert staging
    for key in staging:
        raw = {dep for dep in deps[key] if dep[0] == "raw_data"}
        assert raw, f"{key} reads no landed table"
        for table in raw:
            (insert,) = deps[table]
            assert insert[0] == "flink"
            assert {dep[0] for dep in deps[insert]} == {"source"}


def test_sensors_tick_without_an_error(platform: Platform) -> None:
    def ticks() -> dict[str, dict[str, Any]]:
        nodes = ask(
            platform,
            """{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors {
            name sensorState { ticks(limit: 1) { status error { message } } } } } } } }""",
        )["repositoriesOrError"]["nodes"]
        found = {item["name"]: item["sensorState"]["ticks"] for item in nodes[0]["sensors"]}
        return {name: ticks[0] for name, ticks in found.items() if ticks}

    wait_for(lambda: len(ticks()) == 3, 120, "a tick of each sensor")
    assert {name: tick["error"] for name, tick in ticks().items()} == dict.fromkeys(ticks())


def test_all_models_are_built_and_their_tests_become_checks(platform: Platform) -> None:
    run_id = launch(platform, "dbt_build_job")
    status = wait_for(lambda: ended(platform, run_id), 400, "dbt_build_job to end")
    events = ask(
        platform,
        """query($i: ID!) { runOrError(runId: $i) { ... on Run {
        eventConnection(limit: 1000) { events { __typename
        ... on MaterializationEvent { assetKey { path } }
        ... on AssetCheckEvaluationEvent { evaluation { checkName success } }
        ... on ErrorEvent { error { message } } } } } } }""",
        i=run_id,
    )["runOrError"]["eventConnection"]["events"]
    assert status == "SUCCESS", [event.get("error") for event in events if event.get("error")]
    built = {
        tuple(event["assetKey"]["path"])
        for event in events
        if event["__typename"] == "MaterializationEvent"
    }
    models = {
        tuple(node["assetKey"]["path"])
        for node in ask(platform, "{ assetNodes { assetKey { path } isMaterializable } }")[
            "assetNodes"
        ]
        if node["isMaterializable"] and node["assetKey"]["path"][0] == "emergency_data"
    }
    assert models
    assert models <= built
    checks = [
        event["evaluation"]
        for event in events
        if event["__typename"] == "AssetCheckEvaluationEvent"
    ]
    assert checks
    assert [check["checkName"] for check in checks if not check["success"]] == []
    for path in built:
        platform.sql(f"SELECT COUNT(*) FROM {path[-2]}.{path[-1]}")
