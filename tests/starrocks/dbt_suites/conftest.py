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
