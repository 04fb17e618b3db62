"""Which metrics an expression of PromQL asks for, and which ones the stream manager serves."""

from __future__ import annotations

import re

from prometheus_client.metrics import MetricWrapperBase

from stream_manager import metrics

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NOT_METRICS = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels of an aggregation
    r"|\{[^}]*\}"  # matchers
    r"|\[[^\]]*\]"  # ranges
    r"|\b[a-zA-Z_]+(?=\s*\()"  # functions
    r"|\b(?:sum|max|min|by|and|or|unless|bool|offset)\b"
    r"|\d[\d.]*[a-z]*"
)
# Served by Flink's own reporter; tests/containers asks a running JobManager for them.
OF_FLINK = {
    "flink_jobmanager_numRegisteredTaskManagers",
    "flink_jobmanager_job_numberOfCompletedCheckpoints",
    "flink_jobmanager_job_numRestarts",
}
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def metrics_in(expression: str) -> set[str]:
    """The names of the time series that an expression reads."""
    return set(_NAME.findall(_NOT_METRICS.sub(" ", expression)))


def served() -> set[str]:
    """The names of all time series of the stream manager's metrics."""
    found = set()
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            (family,) = value.describe()
            found |= {family.name + suffix for suffix in _SUFFIXES[family.type]}
    return found
