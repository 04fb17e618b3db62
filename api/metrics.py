"""Prometheus metrics of the open API; names start with ``emdata_api_``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "emdata_api_requests_total",
    "Requests by route, method and status; route is the template, never a path",
    ["route", "method", "status"],
)
SECONDS = Histogram(
    "emdata_api_request_seconds",
    "From the request to the last byte of its answer; streams end when their reader goes",
    ["route", "status_class"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
)
ROWS = Counter("emdata_api_rows_total", "Rows in answers", ["dataset"])
BYTES = Counter("emdata_api_response_bytes_total", "Bytes of answers' bodies", ["route"])
RUNNING = Gauge(
    "emdata_api_running", "Requests that are worked on now", multiprocess_mode="livesum"
)
WAITING = Gauge(
    "emdata_api_waiting", "Requests that wait for their turn", multiprocess_mode="livesum"
)
REFUSED = Counter(
    "emdata_api_refused_total",
    "Requests refused before work was done; reason: minute, day, early, concurrent, busy,"
    " headers, body, slow, depth, connections",
    ["reason"],
)
LIMITS_SHARED = Gauge(
    "emdata_api_limits_shared",
    "1 while limits are shared with the other processes; 0: each gives out its part alone",
    multiprocess_mode="livemin",
)
LIMITS_CALLS = Counter("emdata_api_limits_calls_total", "Calls to the store of the limits")
LIMITS_LOCAL = Counter(
    "emdata_api_limits_local_total", "Requests decided without the store of the limits"
)
USAGE_PENDING = Gauge(
    "emdata_api_usage_pending",
    "Files of usage that the stream manager does not have yet",
    multiprocess_mode="livemax",
)
CACHE = Counter(
    "emdata_api_cache_total",
    "Answers that could be kept, by how they were made: early (as they went out before), hit,"
    " known (304), miss",
    ["result"],
)
