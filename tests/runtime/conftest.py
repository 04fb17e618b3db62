"""Settings and a context that start nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import Settings, load_settings
from runtime.context import Context


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"EMDATA_HOME": str(tmp_path / "home"), "SOURCES": "simulator"}
    return load_settings(environ, env_file=None)


@pytest.fixture
def context(settings: Settings) -> Context:
    return Context(settings, Paths(settings, "simulator"), ensure_credentials(settings))
