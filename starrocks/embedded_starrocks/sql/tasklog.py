"""Runs of tasks and refreshes, as information_schema.task_runs shows them."""

from __future__ import annotations

import dataclasses
import datetime

import duckdb

from embedded_starrocks.storage.metadata import SCHEMA

KEPT_RUNS = 1000


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a task; `began` is an instant with a zone."""

    query_id: str
    task: str
    db: str
    definition: str
    began: datetime.datetime


def note(connection: duckdb.DuckDBPyConnection, run: Run, problem: str | None) -> None:
    """Write the end of a run, and forget the oldest ones."""
    connection.execute(
        f"INSERT INTO {SCHEMA}.task_runs VALUES (?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP)",
        [
            run.query_id,
            run.task,
            run.db,
            run.definition,
            "SUCCESS" if problem is None else "FAILED",
            problem,
            run.began.astimezone(datetime.UTC).replace(tzinfo=None),
        ],
    )
    connection.execute(
        f"DELETE FROM {SCHEMA}.task_runs WHERE created_at < (SELECT min(created_at) FROM "
        f"(SELECT created_at FROM {SCHEMA}.task_runs ORDER BY created_at DESC LIMIT {KEPT_RUNS}))"
    )
