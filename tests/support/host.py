"""What tests do with a platform whatever it runs in: commands on the host, and SQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from emdata.credentials import read_credentials
from emdata.paths import Paths, paths_for
from emdata.settings import Settings, environment_names, load_settings
from emdata.warehouse import Warehouse
from runtime.context import Context
from runtime.services.postgres import dsn
from runtime.warehouse import warehouse_of


def environment_without_ours() -> dict[str, str]:
    """The environment of this process without settings of the platform."""
    ours = {name for field in Settings.model_fields for name in environment_names(field)}
    return {name: value for name, value in os.environ.items() if name not in ours}


class Host:
    """One platform's home and the environment of its commands; ``patience``: seconds of one."""

    def __init__(self, home: Path, environment: Mapping[str, str], patience: float) -> None:
        self.home, self.environment, self._patience = home, dict(environment), patience

    @cached_property
    def settings(self) -> Settings:
        """The settings that the host's commands see."""
        return load_settings(self.environment, env_file=None)

    @cached_property
    def paths(self) -> Paths:
        """Its directories."""
        return paths_for(self.settings)

    @cached_property
    def context(self) -> Context:
        """Settings, paths and credentials; only after the first start."""
        return Context(self.settings, self.paths, read_credentials(self.settings))

    def emdata(
        self, *arguments: str, timeout: float | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run an ``emdata`` command; with ``check``, a failure shows its output."""
        done = subprocess.run(
            [sys.executable, "-m", "runtime", *arguments],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self._patience if timeout is None else timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"emdata {' '.join(arguments)} ended with {done.returncode}:\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def warehouse(self, timeout: float = 30.0) -> Warehouse:
        """A client of StarRocks."""
        return warehouse_of(self.context, timeout=timeout)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a statement on 9030."""
        return self.warehouse().query(query)

    def state_sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a statement on the state in PostgreSQL."""
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(dsn(self.context), row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()
