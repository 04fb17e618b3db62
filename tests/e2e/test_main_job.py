"""The main job on real servers: what the simulator served is what landed, also under SIGKILL.

The simulated clock stands still while a round is polled, so that a version that was served but
whose reader was killed is served again to the next poll; that makes the comparison exact.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from emdata.contracts.derived import EscalationNotice
from emdata.state import connect
from emdata.state.ledger import HourRow, balances, hours, is_landed
from emdata.state.requests import answers, ask_polls
from runtime.tasks import state_dsn
from scrapers.base import find_scrapers
from scrapers.unpolled import UNPOLLED
from tests.e2e import recount
from tests.e2e.witness import Difference, Simulator, differences, hour_differences
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,simulator,manager,api"
STREAMS = len(find_scrapers()) + len(UNPOLLED)
KILLED = ("manager", "taskmanager", "kafka", "manager")


class World:
    """A running platform and its simulator."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.simulator = Simulator(platform.settings.simulator_port)
        self.engine = connect(state_dsn(platform.context))
        self.warehouse = platform.warehouse()

    def ask(self, *streams: str) -> list[int]:
        """Ask for a poll of the named streams, or of all."""
        rows = self.platform.state_sql("SELECT stream FROM streams")
        known = [row["stream"] for row in rows]
        assert len(known) == STREAMS, known
        return ask_polls(self.engine, streams or list(find_scrapers()), "test")

    def answered(self, ids: list[int]) -> list[str]:
        """Wait until the polls are done; returns the ids of their polls."""
        done = wait_for(
            lambda: (rows := answers(self.engine, ids)) and all(r.is_done for r in rows) and rows,
            180,
            "the manager to answer",
            interval=0.2,
        )
        bad = [row for row in done if row.outcome not in ("ok", "not_modified")]
        assert not bad, bad
        return [row.poll_id or "" for row in done]

    def settled(self, polls: list[str]) -> None:
        wait_for(
            lambda: is_landed(self.engine, polls), 180, "what was polled to land", interval=0.2
        )

    def poll(self, *streams: str) -> None:
        """Poll, and wait until everything has landed. CoAgMet may be asked every 5 s only."""
        self.settled(self.answered(self.ask(*streams)))

    def advance(self, seconds: float) -> None:
        self.simulator.ask("clock", {"advance_seconds": seconds})


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_platform(SERVICES) as platform:
        world = World(platform)
        world.simulator.ask("clock", {"freeze": True})
        wait_for(
            lambda: len(platform.state_sql("SELECT stream FROM streams")) == STREAMS,
            120,
            "all streams to be registered",
        )
        yield world
        world.engine.dispose()


def assert_equal_to_the_witness(world: World) -> None:
    found: list[Difference] = differences(world.simulator, world.warehouse)
    assert hour_differences(world.simulator, world.warehouse) == []
    assert found == [], [
        (one.dataset, one.served, one.landed, dict(list(one.keys.items())[:5])) for one in found
    ]


def assert_ledger_settled(world: World) -> None:
    """Check that all that was accepted has landed, also what notices follow from the last poll."""
    since = datetime.now(UTC) - timedelta(days=1)
    rows: list[dict[str, Any]] = []
    by_hour: list[HourRow] = []

    def settled() -> bool:
        # One look at both: escalation notices are accepted at times of their own.
        by_hour[:], rows[:] = hours(world.engine, since=since), balances(world.engine)
        return all(one.is_settled for one in by_hour) and all(
            row["on_the_way"] == 0 for row in rows
        )

    wait_for(settled, 60, "the ledger to settle")
    polled = {one.dataset.name for scraper in find_scrapers().values() for one in scraper.emits}
    assert {row["dataset"] for row in rows} - {EscalationNotice.dataset.name} == polled
    for row in rows:
        assert row["high_seq"] == row["landed"] + row["dead"]
        assert row["dead"] == 0
    for hour in by_hour:
        parts = hour.unchanged + hour.rejected + hour.deferred + hour.accepted
        assert hour.records == parts


def assert_windows_equal_a_recount(world: World) -> None:
    served = world.simulator.served
    seen = {
        row["k"]: row["first"]
        for row in world.warehouse.query(
            "SELECT record_key AS k, MIN(accepted_at) AS first"
            " FROM raw_data.fema_disaster_declarations GROUP BY record_key"
        )
    }
    declarations = served("fema_disaster_declarations")
    expected = {
        ("alerts_hourly", 4): recount.alerts_hourly(served("nws_alert_zones")),
        ("disaster_alerts_daily", 3): recount.disaster_alerts_daily(declarations),
        ("disaster_alerts_hourly", 3): recount.disaster_alerts_hourly(declarations, seen),
        ("weather_station_daily", 2): recount.weather_station_daily(
            served("coagmet_hourly_observations")
        ),
    }
    for (view, keys), windows in expected.items():
        assert windows, view

        def equal(view: str = view, keys: int = keys, windows: recount.Windows = windows) -> bool:
            return recount.read_windows(world.warehouse, view, keys) == windows

        try:
            wait_for(equal, 90, f"{view} to equal its recount", interval=0.5)
        except AssertionError:
            found = recount.read_windows(world.warehouse, view, keys)
            wrong = {
                key: (windows.get(key), found.get(key))
                for key in windows.keys() | found.keys()
                if windows.get(key) != found.get(key)
            }
            raise AssertionError(
                f"{view}: {len(wrong)} of {len(windows)} windows differ (recount, found): "
                f"{list(wrong.items())[:5]}"
            ) from None


def test_what_the_simulator_served_is_what_landed(world: World) -> None:
    world.poll()
    for seconds in (600, 3700):
        world.advance(seconds)
        world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)
    assert_windows_equal_a_recount(world)


def test_fault_23_a_poll_of_unchanged_documents_writes_nothing_to_kafka(world: World) -> None:
    world.poll()
    before = polled(world)
    world.poll()
    assert polled(world) == before


def test_a_change_of_one_alert_publishes_one_record(world: World) -> None:
    world.poll("nws")
    before = accepted(world)
    world.simulator.ask("mutations", {"nws": "edit_one"})
    world.poll("nws")
    assert accepted(world)["nws_alerts"] == before["nws_alerts"] + 1


def test_a_full_fema_reload_that_bumps_only_last_refresh_publishes_nothing(world: World) -> None:
    world.poll("fema")
    before = accepted(world)["fema_disaster_declarations"]
    world.simulator.ask("mutations", {"fema": "reload_bump"})
    world.poll("fema")
    assert accepted(world)["fema_disaster_declarations"] == before
    last = world.platform.state_sql(
        "SELECT rows, rows_parsed FROM polls WHERE stream = 'fema'"
        " ORDER BY finished_at DESC LIMIT 1"
    )[0]
    assert last["rows_parsed"] == last["rows"] > 0


def test_nothing_is_lost_or_counted_twice_when_manager_taskmanager_and_broker_are_killed(
    world: World,
) -> None:
    moments = random.Random(7)
    for service in KILLED:
        world.advance(1900)
        ids = world.ask()
        wait_for_moment(world, ids, moments.choice(("asked", "first answer", "first landing")))
        old = world.platform.kill(service)
        world.platform.wait_restarted(service, old, timeout=120)
        world.settled(world.answered(ids))
        world.poll()
        assert_ledger_settled(world)  # also what an interrupted poll had accepted
        assert_equal_to_the_witness(world)
    assert_windows_equal_a_recount(world)


def test_the_api_answers_and_streams_what_landed_each_record_once(world: World) -> None:
    polled = {one.dataset.name for scraper in find_scrapers().values() for one in scraper.emits}
    url = f"http://127.0.0.1:{world.platform.settings.api_port}/collections"
    for dataset in sorted(polled):
        keys = world.warehouse.query(
            f"SELECT COUNT(DISTINCT record_key) AS n FROM raw_data.{dataset}"
        )[0]["n"]

        def is_shown(dataset: str = dataset, keys: int = keys) -> bool:
            answer = httpx2.get(f"{url}/{dataset}/items?limit=1&count=true", timeout=60)
            return bool(answer.json()["numberMatched"] == keys)

        wait_for(is_shown, 30, f"the API to show all of {dataset}", interval=0.5)
    landed = {
        (row["writer"], row["seq"])
        for row in world.warehouse.query("SELECT writer, seq FROM raw_data.nws_alerts")
    }
    answer = httpx2.get(
        f"{url}/nws_alerts/stream?seconds=20",
        headers={"Last-Event-ID": "0:0"},
        timeout=90,
    )
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
    records = [json.loads(line)["properties"] for line in lines if line.startswith('{"type"')]
    # Delivery is at least once: what a killed manager sent again comes again, under its number.
    assert {(one["writer"], one["seq"]) for one in records} == landed


def accepted(world: World) -> dict[str, int]:
    rows = world.platform.state_sql(
        "SELECT dataset, sum(accepted)::bigint AS n FROM poll_datasets GROUP BY dataset"
    )
    return {row["dataset"]: row["n"] for row in rows}


def polled(world: World) -> dict[str, int]:
    """Return what polls of the outside accepted; notices follow from it at times of their own."""
    notices = EscalationNotice.dataset.name
    return {dataset: n for dataset, n in accepted(world).items() if dataset != notices}


def wait_for_moment(world: World, ids: list[int], moment: str) -> None:
    """Kill at once, after the first poll is done, or after something of the round has landed."""
    if moment == "first answer":
        wait_for(
            lambda: any(row.is_done for row in answers(world.engine, ids)),
            60,
            moment,
            interval=0.01,
        )
    elif moment == "first landing":
        query = "SELECT COUNT(*) AS n FROM raw_data.nws_alerts"
        before = world.platform.sql(query)[0]["n"]
        wait_for(lambda: world.platform.sql(query)[0]["n"] > before, 90, moment, interval=0.02)
