"""What Prometheus gets from a manager's process on real servers."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.expressions import metrics_in
from tests.monitoring.test_dashboards import LABELS, PANELS, expressions
from tests.stream_manager.door import begin, end
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
# Nothing can have happened for these: no failure, no lag of a landing job that does not run, no
# ledger without a warehouse.
SILENT = {
    "stream_records_failed_total",
    "stream_consumer_lag_seconds",
    "stream_freshness_state",
    "stream_on_the_way_records",
    "stream_landed_records",
    "stream_dead_records",
    "stream_critical_demoted_total",
}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    settings = {"EMDATA_POLL_FACTOR": "0.01"}
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


def scrape(platform: Platform) -> dict[str, list[tuple[dict[str, str], float]]]:
    """All samples by name; none while the manager does not answer."""
    url = f"http://127.0.0.1:{platform.settings.manager_port}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def only(samples: list[tuple[dict[str, str], float]]) -> float:
    ((_, value),) = samples
    return value


def test_a_running_manager_shows_itself_and_its_streams(platform: Platform) -> None:
    def polled() -> bool:
        samples = scrape(platform).get("stream_records_processed_total", [])
        return {labels["source_id"] for labels, value in samples if value} >= {"nws", "fema"}

    wait_for(polled, 120, "records of two sources", interval=0.5)
    shown = scrape(platform)
    assert only(shown["stream_kafka_connection_status"]) == 1
    assert only(shown["stream_dlq_size"]) >= 0
    assert only(shown["stream_queue_capacity"]) == platform.settings.queue_capacity
    assert only(shown["stream_buffer_limit_bytes"]) == platform.settings.buffer_max_mb << 20
    assert sum(value for _, value in shown["stream_active_streams"]) > 0
    assert any(value for _, value in shown["stream_latency_seconds_count"])
    for _, at in shown["stream_last_poll_timestamp_seconds"]:
        assert abs(time.time() - at) < 300
    names = (name for board in PANELS for text in expressions(board) for name in metrics_in(text))
    asked = {name for name in names if name.startswith("stream_")}
    bases = {name.removesuffix("_bucket") for name in asked} | set(LABELS)
    there = {name.removesuffix("_bucket") for name in shown}
    assert bases - there <= SILENT


def test_the_connection_status_follows_the_broker(platform: Platform) -> None:
    def is_status(value: float) -> bool:
        return [one for _, one in scrape(platform).get(name, [])] == [value]

    name = "stream_kafka_connection_status"
    end(platform, "kafka")
    wait_for(lambda: is_status(0), 60, "the status to be 0", interval=0.5)
    begin(platform, "kafka")
    wait_for(lambda: is_status(1), 60, "the status to be 1", interval=0.5)
