"""The ingestion job on a whole platform: asked for, landed, built."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dagster.graphql import ended, latest_rows, launch, runs
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1500)]

JOB = "data_ingestion_job"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform() as found:
        yield found


def _succeeded(platform: Platform, cause: str) -> bool:
    found = [run for run in runs(platform, JOB) if cause in run["tags"]]
    assert not [run for run in found if run["status"] in {"FAILURE", "CANCELED"}], found
    return bool(found) and all(run["status"] == "SUCCESS" for run in found)


def test_the_first_landing_builds_marts_without_anybody_asking(platform: Platform) -> None:
    wait_for(lambda: _succeeded(platform, "first_landing"), 600, "the first landing's run")
    for mart in (
        "fct_disaster_declarations",
        "fct_alert_history",
        "fct_drought_county_week",
        "fct_station_weather_day",
    ):
        assert platform.sql(f"SELECT COUNT(*) AS n FROM emergency_data.{mart}")[0]["n"] > 0, mart


def test_a_run_asks_the_manager_and_every_stream_answers(platform: Platform) -> None:
    run_id = launch(platform, JOB)
    assert wait_for(lambda: ended(platform, run_id), 600, f"{JOB} to end") == "SUCCESS"
    answers = platform.state_sql(
        "SELECT stream, outcome FROM requests WHERE requested_by = 'dagster run " + run_id + "'"
    )
    streams = {row["stream"] for row in platform.state_sql("SELECT stream FROM streams")}
    assert {row["stream"] for row in answers} == streams
    assert all(row["outcome"] in {"ok", "not_modified"} for row in answers), answers


def test_recorded_landings_equal_the_ledger(platform: Platform) -> None:
    # Declarations change seldom, alerts all the time.
    dataset = "fema_disaster_declarations"

    def recorded() -> bool:
        rows = platform.state_sql(f"SELECT landed FROM landed WHERE dataset = '{dataset}'")
        landed = sum(row["landed"] for row in rows)
        return landed > 0 and latest_rows(platform, "raw_data", dataset) == landed

    wait_for(recorded, 180, "the landing sensor to record what landed", interval=2.0)
