"""Prometheus metrics of the stream manager; names start with ``stream_``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from emdata.commits import Commit

POLLS = Counter("stream_polls_total", "Polls by stream and outcome", ["stream", "outcome"])
POLL_SECONDS = Histogram("stream_poll_seconds", "Duration of a poll", ["stream"])
ROWS = Counter("stream_rows_total", "Rows by stream and result", ["stream", "result"])
RECORDS = Counter("stream_records_total", "Records by dataset and result", ["dataset", "result"])
DELIVERED = Counter("stream_delivered_total", "Records confirmed by Kafka")
DELIVERY_FAILURES = Counter(
    "stream_delivery_failures_total", "Records given back by Kafka, by error", ["error"]
)
PROCESSED = Counter("stream_records_processed_total", "Records accepted, by source", ["source_id"])
FAILED = Counter(
    "stream_records_failed_total",
    "Rows and records that became dead letters, by cause",
    ["source_id", "error_type"],
)
QUEUE_DEPTH = Gauge("stream_queue_depth", "Records that wait for Kafka", ["priority"])
QUEUE_CAPACITY = Gauge("stream_queue_capacity", "Records that a queue is meant to hold at most")
IN_FLIGHT = Gauge("stream_in_flight_records", "Records handed to Kafka and not confirmed")
PARKED = Gauge("stream_parked_records", "Records that wait for their topic or their segment")
BUFFER_BYTES = Gauge("stream_buffer_size_bytes", "Bytes of all buffer segments")
BUFFER_LIMIT = Gauge("stream_buffer_limit_bytes", "LOW records are deferred beyond 90 % of this")
BUFFER_SEGMENTS = Gauge("stream_buffer_segments", "Segments of the buffer")
BUFFER_FAILED = Gauge("stream_buffer_failed", "1 while the last append was not durable")
UNAPPLIED = Gauge("stream_unapplied_commits", "Frames that PostgreSQL does not have yet")
TORN = Counter("stream_buffer_torn_bytes_total", "Bytes of unfinished writes cut at a start")
QUARANTINED = Counter("stream_buffer_quarantined_bytes_total", "Damaged bytes set aside")
ON_THE_WAY = Gauge("stream_on_the_way_records", "Accepted and not yet landed", ["dataset"])
LANDED = Gauge("stream_landed_records", "Accepted records that landed", ["dataset"])
DEAD_AFTER_ACCEPTANCE = Gauge("stream_dead_records", "Accepted records that died", ["dataset"])
DEGRADED_CLIENTS = Gauge("stream_degraded_clients", "Clients that write to Kafka themselves now")
DEGRADED_RECORDS = Gauge(
    "stream_degraded_records", "Records that clients accepted without their manager, so far"
)
DLQ_SIZE = Gauge("stream_dlq_size", "Dead letters that wait for a decision")
KAFKA_CONNECTED = Gauge("stream_kafka_connection_status", "1 while a Kafka broker can be reached")
FRESHNESS = Gauge("stream_freshness_state", "1 for the state a stream is in", ["stream", "state"])

# Control of streams: set by stream_manager.control.control
ACTIVE_STREAMS = Gauge("stream_active_streams", "Streams that run here", ["tenant"])
THROTTLING = Gauge("stream_throttling_active", "Throttling: 0 none, 1 minor, 2 moderate, 3 severe")
BREAKER_STATE = Gauge(
    "stream_circuit_breaker_state",
    "0 closed, 1 open, 2 half-open; kind: source (a stream's), destination, critical (a source's)",
    ["kind", "name"],
)
CONSUMER_LAG = Gauge(
    "stream_consumer_lag_seconds", "Age of the oldest record not landed yet", ["group"]
)
CRITICAL_DEMOTED = Counter(
    "stream_critical_demoted_total",
    "Records that asked for CRITICAL and became HIGH; reason: limit, not_approved",
    ["source", "reason"],
)
CRITICAL_OVERFLOW = Gauge(
    "stream_critical_overflow", "1 while more CRITICAL records wait than the setting allows"
)
TENANT_WAITING = Gauge("stream_tenant_waiting_records", "Records that wait, by tenant", ["tenant"])
AUDIT_WAITING = Gauge("stream_audit_waiting", "Audit entries that PostgreSQL does not have yet")
LATENCY = Histogram(
    "stream_latency_seconds",
    "From acceptance to Kafka's report, once for each batch handed over",
    ["priority"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
)

# Streams: set by stream_manager.gauges
BATCH_SIZE = Gauge("stream_batch_size", "Records an append, by interval", ["source_id", "stream"])
INTERVAL = Gauge("stream_interval_seconds", "Seconds between polls", ["source_id", "stream"])
LAST_POLL = Gauge(
    "stream_last_poll_timestamp_seconds",
    "When a stream's last poll ended, however it ended; its start while it has none",
    ["source_id", "stream"],
)


def count_commit(commit: Commit) -> None:
    """Count what a poll accepted, and what of it became dead letters, once that is durable."""
    accepted = sum(counts.accepted for counts in commit.datasets.values())
    PROCESSED.labels(commit.source).inc(accepted)
    for dead in commit.deads:
        FAILED.labels(commit.source, dead.cause).inc(dead.occurrences)
