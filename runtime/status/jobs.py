"""The deployed Flink jobs: vertices, last checkpoint, last failure."""

from __future__ import annotations

from emdata.clock import SystemClock
from flink_jobs.status import job_views
from runtime.context import Context
from runtime.status.section import Cell


def rows(context: Context) -> list[dict[str, Cell]]:
    """One row a job. ``checkpoint_age_s`` is in seconds, None before the first checkpoint."""
    return [
        {
            "job": f"{view.name} (rebuilding)" if view.rebuilding else view.name,
            "kind": view.kind,
            "state": view.state,
            "checkpoint_age_s": view.checkpoint_age_s,
            "tables": ", ".join(view.tables),
            "failure": view.failure[:200],
        }
        for view in job_views(context.settings, context.paths, SystemClock())
    ]
