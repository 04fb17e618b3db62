"""Live or simulated is decided once, and never silently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emdata.errors import SettingError
from emdata.settings import Settings, load_settings
from runtime.mode import decide


def _settings(home: Path, **more: str) -> Settings:
    return load_settings({"EMDATA_HOME": str(home), **more}, env_file=None)


def _all(hosts: Sequence[str]) -> list[str]:
    return list(hosts)


def _none(_hosts: Sequence[str]) -> list[str]:
    return []


def _not_asked(_hosts: Sequence[str]) -> list[str]:
    raise AssertionError("nothing should be contacted")


def test_a_reachable_source_and_a_contact_make_it_live(tmp_path: Path) -> None:
    said: list[str] = []
    settings = _settings(tmp_path, EMDATA_CONTACT="me@example.org")
    assert decide(settings, said.append, _all) == "live"
    assert (tmp_path / "sources").read_text() == "live\n"


def test_without_a_connection_it_is_simulated_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    settings = _settings(tmp_path, EMDATA_CONTACT="me@example.org")
    assert decide(settings, said.append, _none) == "simulator"
    assert "SIMULATED" in said[0]


def test_without_a_contact_no_source_is_even_asked(tmp_path: Path) -> None:
    said: list[str] = []
    assert decide(_settings(tmp_path), said.append, _not_asked) == "simulator"
    assert "EMDATA_CONTACT" in said[0]


def test_a_live_platform_never_falls_back(tmp_path: Path) -> None:
    settings = _settings(tmp_path, EMDATA_CONTACT="me@example.org")
    decide(settings, lambda _: None, _all)
    assert decide(settings, lambda _: None, _none) == "live"


def test_live_without_a_contact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="EMDATA_CONTACT"):
        decide(_settings(tmp_path, SOURCES="live"), lambda _: None, _not_asked)
    assert not (tmp_path / "sources").exists()


def test_a_damaged_decision_is_named(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("maybe")
    with pytest.raises(SettingError, match="maybe"):
        decide(_settings(tmp_path), lambda _: None, _not_asked)
