"""dbt's own adapter suites against an embedded StarRocks; started by `test_dbt_suites.py`.

The modules are not named test_*: importing dbt takes seconds, and only a process of their own
should pay for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.starrocks.running import PASSWORD, RunningServer


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("warehouse"))
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session", autouse=True)
def starrocks_sql() -> Iterator[None]:
    """The suites' own updates in StarRocks' SQL, where || is OR; the adapter has not said so."""
    from dbt.adapters.starrocks.impl import StarRocksAdapter

    def string_add(_: Any, add_to: str, value: str, location: str = "append") -> str:
        parts = (add_to, f"'{value}'") if location == "append" else (f"'{value}'", add_to)
        return f"concat({', '.join(parts)})"

    def timestamp_add(_: Any, add_to: str, number: int = 1, interval: str = "hour") -> str:
        return f"date_add({add_to}, interval {number} {interval})"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StarRocksAdapter, "string_add_sql", string_add)
        patch.setattr(StarRocksAdapter, "timestamp_add_sql", timestamp_add)
        yield


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The suites' own would leave a folder for each class in the repository."""
    folder = str(tmp_path_factory.mktemp("logs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


@pytest.fixture(scope="class")
def dbt_profile_target(warehouse: RunningServer) -> dict[str, Any]:
    return {
        "type": "starrocks",
        "host": "127.0.0.1",
        "port": warehouse.mysql_port,
        "username": "root",
        "password": PASSWORD,
        "threads": 2,
    }
