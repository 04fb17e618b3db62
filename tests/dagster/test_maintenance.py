"""Old runs go, with their logs; what runs or is young stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    RunsFilter,
)
from dagster._core.test_utils import create_run_for_test

from emergency_pipeline.defs.maintenance.retention import delete_old_events, delete_old_runs
from emergency_pipeline.defs.models.progress import read_built, write_built


@pytest.fixture
def instance() -> DagsterInstance:
    return DagsterInstance.ephemeral()


def _run(instance: DagsterInstance, logs: Path, status: DagsterRunStatus) -> str:
    run_id = create_run_for_test(instance, job_name="job", status=status).run_id
    (logs / run_id).mkdir(parents=True)
    return run_id


def test_finished_runs_from_before_the_instant_are_deleted_with_their_logs(
    instance: DagsterInstance, tmp_path: Path
) -> None:
    ended = [
        _run(instance, tmp_path, status)
        for status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE)
    ]
    running = _run(instance, tmp_path, DagsterRunStatus.STARTED)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert delete_old_runs(instance, later, tmp_path) == 2
    assert [run.run_id for run in instance.get_runs()] == [running]
    assert [path.name for path in tmp_path.iterdir()] == [running]
    assert not [run_id for run_id in ended if (tmp_path / run_id).exists()]


def test_young_runs_stay(instance: DagsterInstance, tmp_path: Path) -> None:
    run_id = _run(instance, tmp_path, DagsterRunStatus.SUCCESS)
    earlier = datetime.now(UTC) - timedelta(days=1)
    assert delete_old_runs(instance, earlier, tmp_path) == 0
    assert instance.get_runs_count(RunsFilter(run_ids=[run_id])) == 1


def test_reports_of_sensors_go_but_for_the_newest_of_each_asset(
    instance: DagsterInstance,
) -> None:
    for key in ("a", "b"):
        for rows in range(3):
            event = AssetMaterialization(asset_key=key, metadata={"rows": rows})
            instance.report_runless_asset_event(event)
            instance.report_runless_asset_event(
                AssetCheckEvaluation(asset_key=AssetKey(key), check_name="fresh", passed=rows < 2)
            )
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert delete_old_events(instance, later - timedelta(days=1)) == 0
    assert delete_old_events(instance, later) > 0
    for key in ("a", "b"):
        found = instance.fetch_materializations(AssetKey(key), limit=10).records
        assert [r.asset_materialization.metadata["rows"].value for r in found] == [2]
        checks = instance.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(AssetKey(key), "fresh"), limit=10
        )
        assert [check.evaluation.passed for check in checks] == [False]


def test_what_was_built_is_remembered_per_dataset(instance: DagsterInstance) -> None:
    assert read_built(instance) == {}
    write_built(instance, {"river_levels": 4, "sky_warnings": 1})
    write_built(instance, {"sky_warnings": 2})
    assert read_built(instance) == {"river_levels": 4, "sky_warnings": 2}
