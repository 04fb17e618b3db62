"""What the status shows, also while servers are away."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from emdata.clock import ManualClock
from emdata.paths import Paths
from emdata.settings import Settings, load_settings
from runtime.commands.manager import off_streams
from runtime.context import Context
from runtime.install import Java
from runtime.services.registry import all_services
from runtime.status import manager, report
from runtime.status.section import Section
from scrapers.sources.firms import FirmsFireDetections
from tests.support.ports import free_ports


def _nowhere(context: Context) -> Context:
    """The same platform with ports on which nothing listens."""
    names = ("EMDATA_MANAGER_PORT", "EMDATA_FLINK_REST_PORT", "STARROCKS_PORT")
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    settings = load_settings({"EMDATA_HOME": str(context.paths.home), **ports}, env_file=None)
    return Context(settings, Paths(settings, "simulator"), context.credentials)


def _shown(context: Context, *sections: Section) -> str:
    console = Console(width=120, record=True, file=None, force_terminal=False, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(report.as_tables(context, sections))
    return capture.get()


def test_servers_that_are_away_are_named_and_the_rest_is_shown(context: Context) -> None:
    away = _nowhere(context)
    java = Java(away.paths.home, 17, "system")
    sections = {s.name: s for s in report.read_sections(away, all_services(away, java))}
    assert {row["state"] for row in sections["services"].rows} == {"stopped"}
    for name in ("sources", "ledger", "queues", "buffer", "jobs", "tables"):
        assert sections[name].problem, name
    text = _shown(away, *sections.values())
    assert "does not answer" in text
    assert "Connection refused" in text or "cannot" in text.lower()


def test_a_stream_without_its_key_is_off_and_says_what_it_lacks(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = FirmsFireDetections.name
    rows = [
        {"stream": name, "state": "off", "why": "switched off"},
        {"stream": "fema", "state": "fresh", "why": "newest event 1 min ago"},
    ]
    monkeypatch.setattr(manager, "get_json", lambda *_args, **_named: {"freshness": rows})
    shown = {row["stream"]: row["why"] for row in manager.sections(context)[0].rows}
    assert "EMDATA_FIRMS_MAP_KEY" in str(shown[name])
    assert shown["fema"] == "newest event 1 min ago"


def test_without_a_key_the_manager_registers_the_stream_as_off(settings: Settings) -> None:
    found = off_streams([FirmsFireDetections], settings)
    row = found[FirmsFireDetections.name].registration(3, ManualClock())
    assert (row["is_on"], row["writer"], row["every_seconds"]) == (False, 3, 900)
    assert row["datasets"] == ["nasa_firms_fire_detections"]
    with_key = load_settings({"FIRMS_MAP_KEY": "0123456789"}, env_file=None)
    assert off_streams([FirmsFireDetections], with_key) == {}


def test_simulated_data_is_said_first(context: Context, settings: Settings) -> None:
    assert _shown(context).startswith("SIMULATED DATA")
    live = Context(settings, Paths(settings, "live"), context.credentials)
    assert "SIMULATED" not in _shown(live)


def test_the_data_is_json_and_names_its_mode(context: Context) -> None:
    section = Section("queues", "Queues", [{"name": "CRITICAL", "value": 0}])
    data = report.as_data(context, [section], ManualClock())
    again = json.loads(json.dumps(data))
    assert again["mode"] == "simulator"
    assert again["sections"]["queues"]["rows"] == [{"name": "CRITICAL", "value": 0}]


def test_what_the_manager_reports_becomes_rows() -> None:
    assert manager.as_rows([{"stream": "fema", "hosts": ["a", "b"]}]) == [
        {"stream": "fema", "hosts": "a, b"}
    ]
    assert manager.as_rows({"LOW": 3}) == [{"name": "LOW", "value": 3}]
    assert manager.as_rows({"fema": {"state": "fresh"}}) == [{"name": "fema", "state": "fresh"}]


def test_values_are_readable(context: Context) -> None:
    row = {
        "at": "2026-11-21T11:58:02.598816+00:00",
        "rows": 1234567,
        "every": 1200.0,
        "is_ok": True,
        "error": None,
    }
    text = _shown(context, Section("sources", "Sources", [row]))
    assert "11-21 11:58:02" in text
    assert "1,234,567" in text
    assert "1,200" in text
    assert "1,200.0" not in text
    assert "yes" in text
