"""A platform that was started once, and what flows through it."""

from __future__ import annotations

import pytest

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import load_settings
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.site import Site
from tests.dagster.world import small_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Two sources: one with two datasets, one with a window."""
    return small_catalog()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A platform that was started once and has no dbt manifest; tests only read it."""
    home = str(tmp_path_factory.mktemp("home"))
    settings = load_settings({"EMDATA_HOME": home, "SOURCES": "simulator"}, env_file=None)
    ensure_credentials(settings)
    return Site(settings, Paths(settings, "simulator"))
