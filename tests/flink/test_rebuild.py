"""Rebuilding windows: what is kept when it is slow or fails, and the edge of the topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from emdata.settings import load_settings
from flink_jobs.offsets import remaining
from flink_jobs.plan import Job
from flink_jobs.rebuild import Rebuild
from flink_jobs.records import Deployed, Records
from flink_jobs.tables import WindowTables
from flink_jobs.windows import window_tables
from tests.flink.test_decide import deployed, job

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD = deployed(job("windows-alerts", hash_="old"), "a" * 32)
NEW = job("windows-alerts", hash_="new", fingerprint="new")


@dataclass
class FakeCluster:
    """Remembers what was asked of it."""

    problems: dict[str, str] = field(default_factory=dict)
    alive: set[str] = field(default_factory=lambda: {OLD.job_id})
    submitted: int = 0
    clock: Any = field(default_factory=lambda: SimpleNamespace(now=lambda: NOW))

    def submit(self, new: Job, restore: str | None) -> Deployed:
        assert restore is None, "a rebuild never starts from state"
        self.submitted += 1
        made = deployed(new, f"{self.submitted:032d}")
        self.alive.add(made.job_id)
        return made

    def wait_healthy(self, jobs: dict[str, Deployed], timeout: float) -> dict[str, str]:
        return self.problems

    def is_alive(self, job_id: str) -> bool:
        return job_id in self.alive

    def cancel(self, job_id: str) -> None:
        self.alive.discard(job_id)


@dataclass
class FakeTables:
    """Remembers in which order tables were made, shown and dropped."""

    done: list[tuple[str, str]] = field(default_factory=list)

    def create(self, new: Job, *, empty: bool) -> None:
        self.done.append(("create", new.hash))

    def show(self, new: Job) -> None:
        self.done.append(("show", new.hash))

    def drop(self, old: Job, *, but: Job | None = None) -> None:
        self.done.append(("drop", old.hash))

    def keep_older_rows(self, new: Job, old: Job, now: datetime, days: int) -> None:
        self.done.append(("keep older rows", new.hash))


class FakeOffsets:
    """A topic of ten records of which ``reached`` are committed."""

    def __init__(self, reached: int) -> None:
        self.reached = reached
        self.forgotten: list[str] = []

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        return {("t", 0): 10}

    def committed(self, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        return {("t", 0): self.reached}

    def forget(self, groups: Iterable[str]) -> None:
        self.forgotten += groups


NEW_READING = Job(**{**{n: getattr(NEW, n) for n in NEW.__struct_fields__}, "groups": {"t": "g"}})


def rebuild(
    cluster: FakeCluster, tables: FakeTables, reached: int = 10, records: Records | None = None
) -> tuple[str, Records]:
    held = records or Records(jobs={OLD.job.name: OLD})
    run = Rebuild(
        cluster,  # type: ignore[arg-type]
        tables,  # type: ignore[arg-type]
        FakeOffsets(reached),  # type: ignore[arg-type]
        held,
        lambda: None,
        load_settings({"EMDATA_HOME": "/data"}, env_file=None),
        healthy_within=1.0,
        rebuilt_within=0.0,
    )
    return run.run(NEW_READING, OLD), held


def test_the_views_are_swapped_before_the_old_job_and_tables_go() -> None:
    cluster, tables = FakeCluster(), FakeTables()
    problem, records = rebuild(cluster, tables)
    assert problem == ""
    assert tables.done == [
        ("create", "new"),
        ("keep older rows", "new"),
        ("show", "new"),
        ("drop", "old"),
    ]
    assert records.jobs["windows-alerts"].job.hash == "new"
    assert records.candidates == {}
    assert OLD.job_id not in cluster.alive


def test_a_slow_rebuild_leaves_the_old_in_view_and_the_next_deployment_waits_for_the_same() -> None:
    cluster, tables = FakeCluster(), FakeTables()
    problem, records = rebuild(cluster, tables, reached=4)
    assert problem.startswith("rebuilding: 6 records left")
    assert records.jobs["windows-alerts"].job.hash == "old"
    assert OLD.job_id in cluster.alive
    assert ("show", "new") not in tables.done
    problem, records = rebuild(cluster, tables, reached=10, records=records)
    assert problem == ""
    assert cluster.submitted == 1
    assert records.jobs["windows-alerts"].job.hash == "new"


def test_a_rebuild_that_does_not_come_up_is_taken_away_and_the_old_goes_on() -> None:
    cluster, tables = FakeCluster(problems={"windows-alerts": "job RESTARTING"}), FakeTables()
    problem, records = rebuild(cluster, tables)
    assert "the old windows go on: job RESTARTING" in problem
    assert cluster.alive == {OLD.job_id}
    assert tables.done == [("create", "new"), ("drop", "new")]
    assert records.candidates == {}


def test_a_candidate_of_another_plan_is_given_up() -> None:
    cluster, tables = FakeCluster(), FakeTables()
    other = deployed(job("windows-alerts", hash_="other", fingerprint="other"), "c" * 32)
    cluster.alive.add(other.job_id)
    held = Records(jobs={OLD.job.name: OLD}, candidates={OLD.job.name: other})
    problem, records = rebuild(cluster, tables, records=held)
    assert problem == ""
    assert other.job_id not in cluster.alive
    assert tables.done[:2] == [("drop", "other"), ("create", "new")]
    assert records.jobs["windows-alerts"].job.hash == "new"


def test_partitions_without_a_commit_count_whole() -> None:
    assert remaining({("t", 0): 5, ("t", 1): 7}, {("t", 0): 5}) == 7
    assert remaining({("t", 0): 5}, {("t", 0): 9}) == 0


class FakeWarehouse:
    """Answers the columns of existing tables and remembers statements."""

    def __init__(self, columns: dict[str, list[str]]) -> None:
        self.columns = columns
        self.statements: list[str] = []

    def query(self, sql: str, args: list[str]) -> list[dict[str, str]]:
        return [{"name": name} for name in self.columns.get(args[1], [])]

    def execute(self, *statements: str) -> None:
        self.statements += statements


def far_edge(old_columns: list[str] | None) -> list[str]:
    (window,) = [table for table in window_tables() if table.name == "alerts_hourly"]
    names = [column.name for column in (*window.keys, *window.measures)]
    old, new = "old0old0old0", "new0new0new0"
    warehouse = FakeWarehouse({window.physical(old): names if old_columns is None else old_columns})
    tables = WindowTables(warehouse, [window])  # type: ignore[arg-type]
    made = {
        text: Job(
            **{
                **{n: getattr(NEW, n) for n in NEW.__struct_fields__},
                "hash": text,
                "tables": (window.physical(text),),
            }
        )
        for text in (old, new)
    }
    tables.keep_older_rows(made[new], made[old], NOW, retention_days=60)
    return warehouse.statements


def test_windows_as_old_as_the_topics_beginning_are_taken_from_the_old_table() -> None:
    deleted, copied = far_edge(None)
    assert deleted == (
        "DELETE FROM raw_data.alerts_hourly__new0new0 WHERE `window_start` < '2026-09-23'"
    )
    assert copied.startswith("INSERT INTO raw_data.alerts_hourly__new0new0 (`window_start`, ")
    assert copied.endswith(
        "FROM raw_data.alerts_hourly__old0old0 WHERE `window_start` < '2026-09-23'"
    )


def test_old_rows_of_another_shape_are_left_out() -> None:
    (deleted,) = far_edge(["window_start", "alert_count"])
    assert deleted.startswith("DELETE FROM raw_data.alerts_hourly__new0new0")
