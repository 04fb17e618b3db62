"""dbt-starrocks, unmodified: seeds, views, tables, incremental models, tests, docs, a snapshot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
PROJECT = Path(__file__).parent / "dbt_project"


@pytest.fixture
def project(tmp_path: Path, server: RunningServer) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy)
    target = {
        "type": "starrocks",
        "host": "127.0.0.1",
        "port": server.mysql_port,
        "schema": "trial",
        "username": "root",
        "password": PASSWORD,
        "threads": 2,
    }
    profile = {"embedded_starrocks_trial": {"target": "dev", "outputs": {"dev": target}}}
    # A JSON text is a YAML text.
    (copy / "profiles.yml").write_text(json.dumps(profile), encoding="utf-8")
    return copy


def dbt(project: Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", *arguments],
        cwd=project,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": "."},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dbt_builds_twice_and_writes_its_catalog(project: Path, server: RunningServer) -> None:
    dbt(project, "build")
    first: list[tuple[Any, ...]] = server.query("SELECT * FROM trial.fct_readings ORDER BY 1")
    assert [row[0] for row in first] == [1, 2, 3]
    seed = project / "seeds" / "gauges.csv"
    seed.write_text(seed.read_text() + "4,Bear Creek,2026-01-01,2.0,true\n", encoding="utf-8")
    dbt(project, "build")
    # The incremental model added the new row only; the view and the table follow the seed.
    assert server.query("SELECT count(*) FROM trial.fct_readings") == [(4,)]
    assert server.query("SELECT count(*) FROM trial.dim_gauge") == [(4,)]
    assert server.query("SELECT count(*), sum(gauges) FROM trial.fct_by_day") == [(4, 4)]
    assert server.query("SELECT count(*) FROM trial.mv_active") == [(3,)]
    assert server.query("SELECT count(*) FROM trial.gauge_history") == [(4,)]
    dbt(project, "docs", "generate")
    catalog = json.loads((project / "target" / "catalog.json").read_text())
    columns = catalog["nodes"]["model.embedded_starrocks_trial.dim_gauge"]["columns"]
    assert columns["opened_month"]["type"] == "date"
    assert columns["position"]["type"] == "bigint"
    assert catalog["errors"] is None
