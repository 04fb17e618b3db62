"""Dashboards as code: as many panels as promised, on metrics that are served."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from emdata.settings import REPOSITORY
from stream_manager import metrics
from tests.monitoring.expressions import (
    OF_SERVERS,
    OF_STARROCKS,
    labels_of_ours,
    metrics_in,
    served,
)

FOLDER = REPOSITORY / "monitoring" / "grafana"
PANELS = {"ingestion": 8, "health": 6, "source": 7, "glance": 16}
LABELS = {
    "stream_records_processed_total": {"source_id"},
    "stream_records_failed_total": {"source_id", "error_type"},
    "stream_queue_depth": {"priority"},
    "stream_latency_seconds": set(),
    "stream_throttling_active": set(),
    "stream_circuit_breaker_state": set(),
    "stream_dlq_size": set(),
    "stream_buffer_size_bytes": set(),
    "stream_kafka_connection_status": set(),
    "stream_consumer_lag_seconds": set(),
    "stream_active_streams": set(),
    "stream_batch_size": set(),
}


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def expressions(name: str) -> list[str]:
    return [target["expr"] for panel in dashboard(name)["panels"] for target in panel["targets"]]


def test_there_are_four_dashboards() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(PANELS)


@pytest.mark.parametrize(("name", "count"), PANELS.items())
def test_a_dashboard_has_its_panels_and_none_covers_another(name: str, count: int) -> None:
    panels = dashboard(name)["panels"]
    assert len(panels) == len({panel["id"] for panel in panels}) == count
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
    assert all(panel["description"] and panel["targets"] for panel in panels)


@pytest.mark.parametrize("name", PANELS)
def test_a_dashboard_asks_for_metrics_that_are_served(name: str) -> None:
    for expression in expressions(name):
        used = metrics_in(expression)
        assert used, expression
        assert used - OF_SERVERS - OF_STARROCKS <= served(), expression


@pytest.mark.parametrize("name", PANELS)
def test_a_dashboard_uses_only_its_own_variables(name: str) -> None:
    known = {variable["name"] for variable in dashboard(name)["templating"]["list"]}
    text = json.dumps(dashboard(name)["panels"])
    assert "${datasource}" in text
    assert ("$source" in text) == ("source" in known)
    assert ("$stream" in text) == ("stream" in known)


@pytest.mark.parametrize(("name", "labels"), LABELS.items())
def test_the_promised_metrics_are_served_with_their_labels(name: str, labels: set[str]) -> None:
    by_name = {
        f"{family.name}_total" if family.type == "counter" else family.name: value
        for value in vars(metrics).values()
        if isinstance(value, MetricWrapperBase)
        for family in value.describe()
    }
    assert labels <= set(by_name[name]._labelnames)


def test_no_metric_of_ours_has_a_label_that_prometheus_sets_itself() -> None:
    # Such a label is scraped as exported_job, and an expression that groups by it is wrong.
    for name, labels in labels_of_ours().items():
        assert not {"job", "instance"} & labels, name


@pytest.mark.system("promtool")
@pytest.mark.parametrize("name", PANELS)
def test_prometheus_understands_every_expression(name: str, tmp_path: Path) -> None:
    records = [
        {"record": f"checked_{number}", "expr": expression.replace("$", "")}
        for number, expression in enumerate(expressions(name))
    ]
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": name, "rules": records}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
