"""What the watchdog shows of Dagster and of Flink's jobs."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import REGISTRY

from emdata.clock import ManualClock
from runtime.observing import EVERY_S, DagsterGauges, observed
from runtime.services.base import NotReady
from runtime.services.postgres import dsn
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        database = running.settings.postgres_dagster_database
        with psycopg.connect(dsn(running.context, database)) as connection:
            # The columns that Dagster's own storage has (dagster._core.storage.runs.schema).
            connection.execute(
                "CREATE TABLE runs (pipeline_name text, status text, end_time float)"
            )
            connection.execute(
                "CREATE TABLE daemon_heartbeats (daemon_type text, timestamp timestamp)"
            )
        yield running


@pytest.fixture
def connection(platform: Platform) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    address = dsn(platform.context, platform.settings.postgres_dagster_database)
    with psycopg.connect(address, autocommit=True) as opened:
        opened.execute("TRUNCATE runs, daemon_heartbeats")
        yield opened


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"emdata_dagster_{name}", labels)


def test_the_last_end_of_each_job_is_shown_by_how_it_ended(
    platform: Platform, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    connection.execute(
        "INSERT INTO runs VALUES ('models', 'SUCCESS', 100.5), ('models', 'SUCCESS', 200.5),"
        " ('models', 'FAILURE', 150), ('models', 'STARTED', NULL), ('checks', 'QUEUED', NULL)"
    )
    connection.execute("INSERT INTO daemon_heartbeats VALUES ('SENSOR', '1970-01-01 00:05:00')")
    clock = ManualClock()
    gauges = DagsterGauges(
        dsn(platform.context, platform.settings.postgres_dagster_database), clock
    )
    gauges.look()
    assert value("last_end_timestamp_seconds", dagster_job="models", status="SUCCESS") == 200.5
    assert value("last_end_timestamp_seconds", dagster_job="models", status="FAILURE") == 150
    assert value("runs_active", status="STARTED") == 1
    assert value("runs_active", status="QUEUED") == 1
    assert value("runs_active", status="CANCELING") == 0
    assert value("heartbeat_timestamp_seconds", daemon="SENSOR") == 300

    connection.execute("DELETE FROM runs WHERE status = 'FAILURE'")
    gauges.look()
    assert value("last_end_timestamp_seconds", dagster_job="models", status="FAILURE") == 150
    clock.advance(EVERY_S)
    gauges.look()
    assert value("last_end_timestamp_seconds", dagster_job="models", status="FAILURE") is None


def test_the_last_values_stay_while_postgresql_is_away(
    platform: Platform, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    connection.execute("INSERT INTO runs VALUES ('models', 'SUCCESS', 100)")
    clock = ManualClock()
    gauges = DagsterGauges(
        dsn(platform.context, platform.settings.postgres_dagster_database), clock
    )
    gauges.look()
    connection.execute("ALTER TABLE runs RENAME TO away")
    try:
        clock.advance(EVERY_S)
        gauges.look()
    finally:
        connection.execute("ALTER TABLE away RENAME TO runs")
    assert value("last_end_timestamp_seconds", dagster_job="models", status="SUCCESS") == 100


def test_lost_jobs_are_counted_where_prometheus_can_ask(platform: Platform) -> None:
    answers: list[list[str] | None] = [["landing"], None, []]

    def missing() -> list[str]:
        answer = answers.pop(0)
        if answer is None:
            raise NotReady("no answer")
        return answer

    look = observed(platform.context, ManualClock(), missing)
    assert look() == ["landing"]
    with pytest.raises(NotReady):
        look()  # the JobManager is away: what was known stays
    url = f"http://127.0.0.1:{platform.settings.watchdog_metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert "\nemdata_flink_jobs_missing 1.0" in answer.read().decode()
    assert look() == []
    assert REGISTRY.get_sample_value("emdata_flink_jobs_missing") == 0
