"""The API against its own description: every answer is one that the description allows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from emdata.contracts.fema import DisasterDeclaration
from emdata.settings import REPOSITORY
from flink_jobs.windows import window_table_ddl, window_tables, window_view_ddl
from tests.api.world import World, running_world

SOME = ("fema_disaster_declarations", "coagmet_stations", "emission", "bridge_zone_county")
JOB_HASH = "0123456789abcdef"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(only="postgres,kafka,starrocks,api") as made:
        made.land(
            *(
                DisasterDeclaration(
                    disaster_number=4000 + number,
                    place_code=str(number),
                    declaration_type="DR",
                    state="CO",
                    declared_on=date(2026, 1, 1 + number),
                    refreshed_at=datetime.now(UTC),
                )
                for number in range(20)
            )
        )
        for table in window_tables():  # as the Flink jobs make them
            made.execute(window_table_ddl(table, JOB_HASH))
            made.execute(window_view_ddl(table, JOB_HASH))
        made.platform.emdata("dbt", "prepare", timeout=400)
        made.platform.emdata("dbt", "build", "--exclude", "resource_type:test", timeout=400)
        yield made


@pytest.mark.parametrize(
    ("examples", "left_out"),
    [
        # Paths of other collections are made by the same code; all of them take hours.
        pytest.param(3, rf"^/collections/(?!{{|{'|'.join(SOME)})", id="some"),
        pytest.param(40, "^$", id="many", marks=pytest.mark.long),
    ],
)
def test_schemathesis_finds_no_answer_that_the_description_does_not_allow(
    world: World, tmp_path: Path, examples: int, left_out: str
) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "schemathesis",
         "--config-file", REPOSITORY / "schemathesis.toml", "run", f"{world.url}/openapi.json",
         "--checks", "all", "--max-examples", str(examples), "--request-timeout", "30",
         "--exclude-path-regex", left_out,
         "--seed", "1", "--no-color", "--suppress-health-check", "all"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "Stateful" in done.stdout
