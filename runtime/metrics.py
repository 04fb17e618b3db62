"""Prometheus metrics of the watchdog: what Flink has lost, and how Dagster's runs end."""

from __future__ import annotations

from prometheus_client import Gauge

FLINK_JOBS_MISSING = Gauge(
    "emdata_flink_jobs_missing", "Deployed jobs that the Flink cluster does not run"
)
DAGSTER_RUNS_ACTIVE = Gauge(
    "emdata_dagster_runs_active", "Runs that wait or run, by status", ["status"]
)
DAGSTER_LAST_END = Gauge(
    "emdata_dagster_last_end_timestamp_seconds",
    "When the last run of a job ended, by how it ended: SUCCESS, FAILURE or CANCELED",
    ["dagster_job", "status"],
)
DAGSTER_HEARTBEAT = Gauge(
    "emdata_dagster_heartbeat_timestamp_seconds",
    "When a thread of Dagster's daemon last said that it lives",
    ["daemon"],
)
