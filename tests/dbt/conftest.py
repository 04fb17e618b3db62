"""A stand-in server with landed rows, and dbt built on it once for all tests of this folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emdata.contracts import contracts
from emdata.dbt_project import DbtProject
from emdata.derive.starrocks import RAW_DATABASE, raw_table_ddl
from emdata.errors import WarehouseUnavailable
from emdata.migrate import database_statements
from emdata.settings import REPOSITORY, load_settings
from emdata.warehouse import Warehouse
from emdata.warehouse_accounts import transformer_statements
from flink_jobs.windows import window_table_ddl, window_tables, window_view_ddl
from tests.dbt import cases
from tests.dbt.landing import insert, land
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

PASSWORD = "only-for-this-test"
MODELS = "emergency_data"
JOB_HASH = "0123456789abcdef"
AS_OF = "{{{{ config(materialized='table') }}}}\n{{{{ alerts_as_of(\"{at}\"{known}) }}}}\n"


@dataclass(frozen=True)
class World:
    """What was built: ``now`` is the instant that the alerts' times are counted from."""

    warehouse: Warehouse
    project: DbtProject
    now: datetime
    results: Mapping[str, str]
    """dbt's status by node name."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the models."""
        return self.warehouse.query(sql)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, int]]:
    """An empty embedded StarRocks and its MySQL port."""
    folder = tmp_path_factory.mktemp("starrocks")
    mysql_port, http_port = free_ports(2)
    (folder / "password").write_text(PASSWORD)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "embedded_starrocks", "--data", str(folder / "data"),
             "--mysql-port", str(mysql_port), "--http-port", str(http_port),
             "--password-file", str(folder / "password")],
            stdout=log, stderr=log,
        )  # fmt: skip
    client = Warehouse("127.0.0.1", mysql_port, "root", PASSWORD, timeout=60)

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return client.query("SELECT 1 AS one") == [{"one": 1}]
        except WarehouseUnavailable:
            return False

    try:
        wait_for(answers, 30, "the embedded StarRocks to answer")
        yield client, mysql_port
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def world(warehouse: tuple[Warehouse, int], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Landed rows, window tables, and one ``dbt build`` over them."""
    client, port = warehouse
    now = datetime.now(UTC).replace(microsecond=0)
    _land_everything(client, now)
    project = _copy_project(tmp_path_factory.mktemp("dbt"), port, now)
    dbt(project, "build")
    return World(client, project, now, results_of(project))


def dbt(project: DbtProject, *command: str) -> str:
    """Run dbt and return its output; a failure shows it."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *project.arguments(command)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def results_of(project: DbtProject) -> dict[str, str]:
    """Return dbt's status by node name of the last run."""
    text = (project.target / "run_results.json").read_text()
    return {r["unique_id"].split(".")[2]: r["status"] for r in json.loads(text)["results"]}


def _land_everything(client: Warehouse, now: datetime) -> None:
    client.execute(
        *database_statements((RAW_DATABASE, MODELS)),
        *transformer_statements(PASSWORD, MODELS),
        *(raw_table_ddl(record) for record in contracts().values()),
        *(window_table_ddl(table, JOB_HASH) for table in window_tables()),
        *(window_view_ddl(table, JOB_HASH) for table in window_tables()),
    )
    earlier = now - timedelta(hours=2)
    land(client, cases.alerts(now))
    land(client, cases.declarations(earlier))
    land(client, cases.droughts(earlier))
    land(client, cases.stations(earlier))
    land(client, cases.observations(earlier))
    land(client, cases.emissions(earlier))
    land(client, cases.api_usage(earlier))
    tables = {table.name: f"{RAW_DATABASE}.{table.physical(JOB_HASH)}" for table in window_tables()}
    insert(
        client,
        tables["disaster_alerts_daily"],
        ["declared_on", "declaration_type", "state", "declaration_count", "area_count"],
        [["2024-01-02", "DR", "CO", 1, 3], ["2024-01-02", "FM", "CO", 1, 1]],
    )
    insert(
        client,
        tables["disaster_alerts_hourly"],
        ["window_start", "declaration_type", "state", "declaration_count", "area_count"],
        [[earlier.strftime("%Y-%m-%d %H:00:00"), "DR", "CO", 1, 2]],
    )
    insert(
        client,
        tables["aggregated_emission"],
        ["organization_id", "month", "total", "emission_count"],
        # One total is wrong by the last digit that a total has.
        [["acme", "2024-10-01", "0.500001", 2], ["acme", "2024-11-01", "999999999.999999", 1],
         ["umbrella", "2024-11-01", "-0.000001", 1]],
    )  # fmt: skip


def _copy_project(folder: Path, port: int, now: datetime) -> DbtProject:
    project = DbtProject(folder / "project", folder / "state")
    shutil.copytree(
        REPOSITORY / "dbt_project", project.project, ignore=shutil.ignore_patterns("generated")
    )
    project.write_generated()
    settings = load_settings({"STARROCKS_PORT": str(port)}, env_file=None)
    project.write_profile(settings, PASSWORD)
    before = f"cast('{now - timedelta(hours=3):%Y-%m-%d %H:%M:%S}' as datetime)"
    weather = project.project / "models" / "weather"
    (weather / "as_of_said.sql").write_text(AS_OF.format(at=before, known=""))
    (weather / "as_of_known.sql").write_text(AS_OF.format(at=before, known=f', "{before}"'))
    return project
