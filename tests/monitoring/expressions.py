"""Which metrics an expression of PromQL asks for, and which ones the platform serves."""

from __future__ import annotations

import re

from prometheus_client.metrics import MetricWrapperBase

import api.metrics
import runtime.metrics
import stream_manager.metrics

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NOT_METRICS = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels of an aggregation
    r"|\{[^}]*\}"  # matchers
    r"|\[[^\]]*\]"  # ranges
    r"|\b[a-zA-Z_]+(?=\s*\()"  # functions
    r"|\b(?:sum|max|min|by|and|or|unless|bool|offset)\b"
    r"|\d[\d.]*[a-z]*"
)
# Served by Flink's reporter, Kafka's agent (monitoring/kafka/agent.yml), PostgreSQL's exporter and
# (`up`) Prometheus itself; tests/containers asks a Prometheus that scrapes them all.
OF_SERVERS = {
    "flink_jobmanager_numRegisteredTaskManagers",
    "flink_jobmanager_job_numberOfCompletedCheckpoints",
    "flink_jobmanager_job_numRestarts",
    "kafka_broker_messagesin_total",
    "kafka_controller_offlinepartitionscount",
    "kafka_log_size_bytes",
    "kafka_replicas_underreplicatedpartitions",
    "kafka_request_milliseconds",
    "pg_database_size_bytes",
    "pg_up",
    "up",
}
# From the documentation of StarRocks: its published images cannot be asked here.
OF_STARROCKS = {"starrocks_fe_query_latency_ms", "starrocks_be_disks_data_used_capacity"}
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def metrics_in(expression: str) -> set[str]:
    """The names of the time series that an expression reads."""
    return set(_NAME.findall(_NOT_METRICS.sub(" ", expression)))


def served() -> set[str]:
    """The names of all time series of the platform's own metrics."""
    found = set()
    for metric in _ours():
        (family,) = metric.describe()
        found |= {family.name + suffix for suffix in _SUFFIXES[family.type]}
    return found


def labels_of_ours() -> dict[str, set[str]]:
    """The labels of the platform's own metrics by name."""
    return {metric.describe()[0].name: set(metric._labelnames) for metric in _ours()}


def _ours() -> list[MetricWrapperBase]:
    modules = (stream_manager.metrics, api.metrics, runtime.metrics)
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, MetricWrapperBase)]
