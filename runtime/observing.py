"""What the watchdog shows Prometheus: lost Flink jobs, and Dagster's runs and heartbeats.

Dagster has no metrics of its own; what its web page shows is in its tables in PostgreSQL, and is
read from there every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from prometheus_client import Gauge, start_http_server

from emdata.clock import Clock
from emdata.telemetry import get_logger
from runtime import metrics
from runtime.context import Context
from runtime.services.postgres import dsn

EVERY_S = 15.0
_ACTIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_RUNS = "SELECT status, count(*) FROM runs WHERE status = ANY(%s) GROUP BY status"
_ENDS = (
    "SELECT pipeline_name, status, max(end_time) FROM runs"
    " WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND end_time IS NOT NULL"
    " GROUP BY pipeline_name, status"
)
_HEARTBEATS = (
    "SELECT daemon_type, max(extract(epoch FROM timestamp))::float8"
    " FROM daemon_heartbeats GROUP BY daemon_type"
)

Values = dict[tuple[str, ...], float]

log = get_logger(__name__)


class DagsterGauges:
    """Sets Dagster's gauges, at most every ``EVERY_S`` seconds; the last values stay meanwhile."""

    def __init__(self, connection: str, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._next = 0.0
        self._known: dict[Gauge, set[tuple[str, ...]]] = {}

    def look(self) -> None:
        """Read the tables when it is time; PostgreSQL away is said once in the log a look."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_S
        try:
            active, ends, heartbeats = self._read()
        except psycopg.Error as error:
            log.info("dagster_not_observed", error=str(error).strip()[:200])
            return
        self._set(metrics.DAGSTER_RUNS_ACTIVE, active)
        self._set(metrics.DAGSTER_LAST_END, ends)
        self._set(metrics.DAGSTER_HEARTBEAT, heartbeats)

    def _read(self) -> tuple[Values, Values, Values]:
        with psycopg.connect(self._connection) as connection:
            active: Values = {(status,): 0.0 for status in _ACTIVE}
            active |= _labelled(connection.execute(_RUNS, (list(_ACTIVE),)).fetchall())
            ends = _labelled(connection.execute(_ENDS).fetchall())
            heartbeats = _labelled(connection.execute(_HEARTBEATS).fetchall())
        return active, ends, heartbeats

    def _set(self, gauge: Gauge, values: Values) -> None:
        for gone in self._known.get(gauge, set()) - set(values):
            gauge.remove(*gone)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        self._known[gauge] = set(values)


def _labelled(rows: Iterable[tuple[Any, ...]]) -> Values:
    """The last column by the ones before it."""
    return {tuple(map(str, row[:-1])): float(row[-1]) for row in rows}


def observed(
    context: Context, clock: Clock, missing: Callable[[], list[str]]
) -> Callable[[], list[str]]:
    """Serve the metrics from now on; returns ``missing``, whose every call sets the gauges."""
    settings = context.settings
    start_http_server(settings.watchdog_metrics_port, settings.bind_host)
    gauges = DagsterGauges(dsn(context, settings.postgres_dagster_database), clock)

    def look() -> list[str]:
        gauges.look()
        names = missing()
        metrics.FLINK_JOBS_MISSING.set(len(names))
        return names

    return look
