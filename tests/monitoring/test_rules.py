"""Alert rules: each has a test, a runbook, and metrics that are really served."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from emdata.settings import REPOSITORY, Settings, environment_names
from tests.monitoring.expressions import OF_SERVERS, metrics_in, served

MONITORING = REPOSITORY / "monitoring" / "prometheus"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
TESTS = sorted((MONITORING / "tests").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def names() -> set[str]:
    return {rule["alert"] for rule in rules()}


def rule_of(name: str) -> dict[str, Any]:
    (rule,) = [rule for rule in rules() if rule["alert"] == name]
    return rule


@pytest.mark.parametrize("name", sorted(names()))
def test_an_alert_asks_for_metrics_that_are_served(name: str) -> None:
    used = metrics_in(rule_of(name)["expr"])
    assert used
    assert used - OF_SERVERS <= served()


@pytest.mark.parametrize("name", sorted(names()))
def test_an_alert_says_how_bad_it_is_and_links_to_its_runbook(name: str) -> None:
    rule = rule_of(name)
    assert rule["labels"]["severity"] in ("page", "warn")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    for heading in ("## Look", "## Do", "## Over when"):
        assert heading in text


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == names()


def test_every_alert_is_tested_to_fire_and_to_stay_silent() -> None:
    fires, silent = set(), set()
    for path in TESTS:
        for group in yaml.safe_load(path.read_text())["tests"]:
            for case in group["alert_rule_test"]:
                (fires if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fires == silent == names()


def test_runbooks_name_settings_that_exist_and_link_to_pages_that_exist() -> None:
    known = {name for field in Settings.model_fields for name in environment_names(field)}
    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text()
        assert set(re.findall(r"EMDATA_[A-Z_]+", text)) <= known, path.name
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (path.parent / link).is_file(), f"{path.name}: {link}"


def test_the_limits_that_were_promised_are_in_the_rules() -> None:
    assert rule_of("StreamBreakerOpen")["for"] == "5m"
    assert rule_of("StreamBreakerOpen")["labels"]["severity"] == "page"
    assert rule_of("StreamQueueNearlyFull")["for"] == "2m"
    assert "0.9 *" in rule_of("StreamQueueNearlyFull")["expr"]
    assert rule_of("StreamDeadLetters")["expr"] == "stream_dlq_size > 100"
    assert "> 600 +" in rule_of("StreamInactive")["expr"]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.system("promtool")
def test_promtool_accepts_rules_and_configuration() -> None:
    promtool("check", "rules", *RULES)
    promtool("check", "config", MONITORING / "prometheus.yml")
    promtool("check", "config", MONITORING / "containers.yml")


@pytest.mark.system("promtool")
def test_alerts_fire_when_they_must_and_not_before() -> None:
    promtool("test", "rules", *TESTS)
