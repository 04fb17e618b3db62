"""Tests here need an engine; `make test-containers` ends with 3 where none answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import Settings, load_settings
from runtime.containers.engine import HA, EngineMissing, engine_version
from runtime.context import Context
from tests.containers.compose_platform import (
    STANDINS,
    ComposePlatform,
    build_standins,
    running_compose,
)
from tests.support.world import World, frozen_world

SECURED = "starrocks-lite,simulator,scrapers,scrapers-standby,api,flink-deploy"


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


@pytest.fixture(scope="session")
def secured(engine: None) -> Iterator[ComposePlatform]:
    """Three brokers, two stream managers, TLS and logins; without Dagster, to be small."""
    build_standins()
    settings = {
        "EMDATA_TLS": "true",
        "EMDATA_COMPOSE_FILES": ",".join([HA, STANDINS, "tests/containers/standins-ha.yml"]),
    }
    with running_compose(SECURED, settings) as running:
        yield running


@pytest.fixture(scope="session")
def secured_world(secured: ComposePlatform) -> Iterator[World[ComposePlatform]]:
    """Its simulator and its tables."""
    with frozen_world(secured) as world:
        yield world
