"""The watchdog that brings back Flink jobs after a restart of the JobManager."""

from __future__ import annotations

import sys

from runtime.context import Context
from runtime.services.base import NotReady, Service
from runtime.watchdog import missing_jobs


def service(context: Context) -> Service:
    """The watchdog; it starts once the jobs are deployed."""
    return Service(
        name="watchdog",
        title="Flink job watchdog",
        command=(sys.executable, "-m", "runtime", "watchdog"),
        probe=lambda: probe(context),
        needs=("jobs",),
        ports={"EMDATA_WATCHDOG_METRICS_PORT": context.settings.watchdog_metrics_port},
        stop_stage=3,
        stop_within=5,
    )


def probe(context: Context) -> str:
    """Ready when no deployed job is missing."""
    missing = missing_jobs(context.paths.flink_jobs_file, context.settings.flink_rest_port)
    if missing:
        raise NotReady(f"jobs are missing: {', '.join(missing)}")
    return "no job missing"
