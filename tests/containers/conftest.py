"""Tests here need an engine; `make test-containers` ends with 3 where none answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import Settings, load_settings
from runtime.containers.engine import EngineMissing, engine_version
from runtime.context import Context


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no container engine answers."""
    try:
        engine_version()
    except EngineMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the containers profile that start nothing."""
    environ = {
        "EMDATA_HOME": str(tmp_path / "home"),
        "SOURCES": "simulator",
        "PROFILE": "containers",
    }
    return load_settings(environ, env_file=None)


@pytest.fixture
def context(settings: Settings) -> Context:
    """A context that starts nothing."""
    return Context(settings, Paths(settings, "simulator"), ensure_credentials(settings))
