"""Which platform this process belongs to: settings, directories, addresses.

Read once, when Dagster asks for the definitions, and passed on from there. Secrets stay in the
credentials file and are read where they are used, so that no screen of Dagster can show them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from emdata.credentials import Credentials, read_credentials
from emdata.dbt_project import project_of
from emdata.paths import Paths, paths_for
from emdata.settings import Settings, load_settings
from emdata.state import connect
from emdata.state.database import dsn_of
from emdata.warehouse import Warehouse

RAW_DATABASE = "raw_data"


@dataclass(frozen=True)
class Site:
    """One platform in one mode, with thin openers for what its definitions need."""

    settings: Settings
    paths: Paths

    @property
    def is_simulated(self) -> bool:
        """Whether the data comes from the simulator."""
        return self.paths.mode == "simulator"

    @property
    def manager_url(self) -> str:
        """Base address of the stream manager's ingest, health and status endpoints.

        Of active and standby with a comma between.
        """
        return ",".join(self.settings.manager_urls)

    @property
    def flink_url(self) -> str:
        """Address of Flink's dashboard."""
        return f"http://{self.settings.flink_host}:{self.settings.flink_rest_port}"

    @property
    def manifest(self) -> Path:
        """The manifest that `emdata dbt parse` prepares."""
        return project_of(self.paths).manifest

    @property
    def dbt_executable(self) -> Path:
        """The dbt program of the environment this process runs in."""
        return Path(sys.executable).parent / "dbt"

    def credentials(self) -> Credentials:
        """Read the passwords; raises SettingError before the first start made them."""
        return read_credentials(self.settings)

    @cached_property
    def state(self) -> Engine:
        """Engine of the state in PostgreSQL; nothing is opened until it is used."""
        return connect(dsn_of(self.settings, self.credentials().postgres_password))

    def warehouse(self, *, timeout: float = 30.0) -> Warehouse:
        """Return a client of StarRocks; ``timeout`` is in seconds for connect, read and write."""
        return Warehouse.of(self.settings, self.credentials().starrocks_password, timeout=timeout)


def load_site() -> Site:
    """Read the settings of this process; raises SettingError before the mode is decided."""
    settings = load_settings()
    return Site(settings, paths_for(settings))
