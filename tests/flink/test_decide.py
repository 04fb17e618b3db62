"""What a deployment does with each job, and where state is restored from."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from emdata.errors import ServiceError
from flink_jobs.decide import Action, decide
from flink_jobs.plan import Job, Plan
from flink_jobs.records import (
    Deployed,
    Records,
    read_records,
    remove_unused_state,
    restore_point,
    write_records,
)


def job(name: str, *, hash_: str = "h", fingerprint: str = "f") -> Job:
    return Job(
        name=name,
        kind="landing" if name.startswith("landing") else "windows",
        hash=hash_,
        fingerprint=fingerprint,
        datasets=(),
        tables=(),
        groups={},
        setup=(),
        inserts=(),
        config={},
    )


def deployed(of: Job, job_id: str = "a" * 32, folder: str = "/none", **more: str) -> Deployed:
    return Deployed(
        job=of, job_id=job_id, checkpoints=folder, deployed_at="2026-11-21T12:00:00", **more
    )


def action(
    planned: Job, before: Deployed | None, *, alive: bool, only_missing: bool = False
) -> Action:
    records = Records(jobs={} if before is None else {planned.name: before})
    ids = [before.job_id] if before is not None and alive else []
    plan = Plan(format=1, jobs=(planned,))
    (step,) = decide(plan, records, ids, only_missing=only_missing)
    return step.action


LANDING, WINDOWS = job("landing-bulk"), job("windows-alerts")
MOVED_LANDING = job("landing-bulk", fingerprint="other")
MOVED_WINDOWS = job("windows-alerts", fingerprint="other")
CHANGED_WINDOWS = job("windows-alerts", hash_="other", fingerprint="other")


@pytest.mark.parametrize("planned", [LANDING, WINDOWS])
def test_a_running_job_that_is_as_planned_is_left_alone(planned: Job) -> None:
    assert action(planned, deployed(planned), alive=True) is Action.KEEP


@pytest.mark.parametrize("planned", [LANDING, WINDOWS])
def test_a_new_job_is_started(planned: Job) -> None:
    assert action(planned, None, alive=False) is Action.START


def test_landing_that_was_lost_is_started_from_its_offsets_and_windows_are_restored() -> None:
    assert action(LANDING, deployed(LANDING), alive=False) is Action.START
    assert action(WINDOWS, deployed(WINDOWS), alive=False) is Action.RESTORE


def test_changed_landing_is_replaced() -> None:
    assert action(MOVED_LANDING, deployed(LANDING), alive=True) is Action.REPLACE


def test_windows_with_another_address_keep_their_state() -> None:
    assert action(MOVED_WINDOWS, deployed(WINDOWS), alive=True) is Action.MOVE


@pytest.mark.parametrize("alive", [True, False])
def test_windows_with_another_hash_are_rebuilt_whether_the_old_run_or_not(alive: bool) -> None:
    assert action(CHANGED_WINDOWS, deployed(WINDOWS), alive=alive) is Action.REBUILD


@pytest.mark.parametrize("planned", [MOVED_WINDOWS, CHANGED_WINDOWS])
def test_a_watchdog_does_not_touch_what_runs(planned: Job) -> None:
    assert action(planned, deployed(WINDOWS), alive=True, only_missing=True) is Action.KEEP


def test_a_watchdog_brings_back_what_was_recorded_and_not_what_is_planned() -> None:
    records = Records(jobs={WINDOWS.name: deployed(WINDOWS)})
    plan = Plan(format=1, jobs=(CHANGED_WINDOWS,))
    (step,) = decide(plan, records, [], only_missing=True)
    assert (step.action, step.job) == (Action.RESTORE, WINDOWS)


def test_a_job_that_is_no_longer_planned_is_removed_but_never_by_a_watchdog() -> None:
    records = Records(jobs={LANDING.name: deployed(LANDING)})
    plan = Plan(format=1, jobs=())
    (step,) = decide(plan, records, [], only_missing=False)
    assert step.action is Action.REMOVE
    assert decide(plan, records, [], only_missing=True) == []


def checkpoint(folder: Path, number: int, at: int, *, complete: bool = True) -> Path:
    point = folder / f"chk-{number}"
    point.mkdir(parents=True)
    if complete:
        (point / "_metadata").write_bytes(b"x")
        os.utime(point / "_metadata", (at, at))
    return point


def test_the_newest_complete_checkpoint_is_restored(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9, at=100)
    newest = checkpoint(tmp_path, 10, at=200)
    checkpoint(tmp_path, 11, at=300, complete=False)
    assert restore_point(deployed(WINDOWS, folder=str(tmp_path))) == str(newest)


def test_a_savepoint_made_after_the_last_checkpoint_wins(tmp_path: Path) -> None:
    checkpoint(tmp_path / "job", 3, at=100)
    savepoint = checkpoint(tmp_path / "save", 1, at=200)
    record = deployed(WINDOWS, folder=str(tmp_path / "job"), savepoint=f"file:{savepoint}")
    assert restore_point(record) == str(savepoint)


def test_before_its_first_checkpoint_a_job_is_restored_from_where_it_came(tmp_path: Path) -> None:
    origin = checkpoint(tmp_path / "before", 7, at=100)
    record = deployed(WINDOWS, folder=str(tmp_path / "new"), restored_from=str(origin))
    assert restore_point(record) == str(origin)


def test_without_a_checkpoint_there_is_nothing_to_restore(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1, at=100, complete=False)
    assert restore_point(deployed(WINDOWS, folder=str(tmp_path))) is None


def test_only_state_that_nothing_starts_from_is_deleted(tmp_path: Path) -> None:
    checkpoints, savepoints = tmp_path / "checkpoints", tmp_path / "savepoints"
    ids = {name: letter * 32 for name, letter in (("now", "a"), ("origin", "b"), ("old", "c"))}
    for job_id in ids.values():
        checkpoint(checkpoints / job_id, 1, at=100)
    (checkpoints / "notes").mkdir()
    savepoint = savepoints / "savepoint-abc"
    savepoint.mkdir(parents=True)
    (savepoints / "savepoint-old").mkdir()
    records = Records(
        jobs={
            "windows-alerts": deployed(
                WINDOWS,
                ids["now"],
                restored_from=str(checkpoints / ids["origin"] / "chk-1"),
                savepoint=str(savepoint),
            )
        }
    )
    remove_unused_state(records, checkpoints, savepoints)
    assert {p.name for p in checkpoints.iterdir()} == {ids["now"], ids["origin"], "notes"}
    assert {p.name for p in savepoints.iterdir()} == {"savepoint-abc"}


def test_records_survive_being_written(tmp_path: Path) -> None:
    file = tmp_path / "flink" / "jobs.json"
    records = Records(
        jobs={LANDING.name: deployed(LANDING)},
        candidates={WINDOWS.name: deployed(WINDOWS)},
        generations={"windows-alerts": 2},
    )
    write_records(file, records)
    assert msgspec.to_builtins(read_records(file)) == msgspec.to_builtins(records)
    assert [p.name for p in file.parent.iterdir()] == ["jobs.json"]
    assert file.stat().st_mode & 0o077 == 0


def test_nothing_is_deployed_without_a_file_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_records(tmp_path / "jobs.json").jobs == {}
    (tmp_path / "jobs.json").write_text('{"jobs": 7}')
    with pytest.raises(ServiceError, match=r"jobs\.json"):
        read_records(tmp_path / "jobs.json")
