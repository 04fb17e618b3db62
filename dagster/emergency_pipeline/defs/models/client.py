"""The dbt client of Dagster, without what costs seconds at every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster_dbt import DbtCliResource
from dagster_dbt.compat import DBT_PYTHON_VERSION
from packaging.version import Version


class QuickDbtCliResource(DbtCliResource):
    """Runs dbt of this environment.

    The resource asks the program for its version and loads an adapter of its own before each
    command, 5 s of a small machine in all. The program is the one installed beside this module,
    so its version is known, and the adapter serves only column metadata that nobody asks for.
    """

    @property
    def _cli_version(self) -> Version:
        if DBT_PYTHON_VERSION is None:
            raise RuntimeError("dbt-core is not installed in this environment")
        return DBT_PYTHON_VERSION

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None
