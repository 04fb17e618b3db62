"""The main job on real servers: what the simulator served is what landed, also under SIGKILL.

The same rounds run on containers in tests/containers/test_end_to_end.py; what both share is in
tests/support/world.py.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import httpx2
import pytest

from emdata.contracts.derived import EscalationNotice
from scrapers.base import find_scrapers
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for
from tests.support.world import (
    World,
    assert_equal_to_the_witness,
    assert_ledger_settled,
    assert_windows_equal_a_recount,
    frozen_world,
    wait_for_moment,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,simulator,manager,api"
KILLED = ("manager", "taskmanager", "kafka", "manager")


@pytest.fixture(scope="module")
def world() -> Iterator[World[Platform]]:
    with running_platform(SERVICES) as platform, frozen_world(platform) as world:
        yield world


def test_what_the_simulator_served_is_what_landed(world: World[Platform]) -> None:
    world.poll()
    for seconds in (600, 3700):
        world.advance(seconds)
        world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)
    assert_windows_equal_a_recount(world)


def test_fault_23_a_poll_of_unchanged_documents_writes_nothing_to_kafka(
    world: World[Platform],
) -> None:
    world.poll()
    before = polled(world)
    world.poll()
    assert polled(world) == before


def test_a_change_of_one_alert_publishes_one_record(world: World[Platform]) -> None:
    world.poll("nws")
    before = accepted(world)
    world.simulator.ask("mutations", {"nws": "edit_one"})
    world.poll("nws")
    assert accepted(world)["nws_alerts"] == before["nws_alerts"] + 1


def test_a_full_fema_reload_that_bumps_only_last_refresh_publishes_nothing(
    world: World[Platform],
) -> None:
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
    world: World[Platform],
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


def test_the_api_answers_and_streams_what_landed_each_record_once(world: World[Platform]) -> None:
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


def accepted(world: World[Platform]) -> dict[str, int]:
    rows = world.platform.state_sql(
        "SELECT dataset, sum(accepted)::bigint AS n FROM poll_datasets GROUP BY dataset"
    )
    return {row["dataset"]: row["n"] for row in rows}


def polled(world: World[Platform]) -> dict[str, int]:
    """Return what polls of the outside accepted; notices follow from it at times of their own."""
    notices = EscalationNotice.dataset.name
    return {dataset: n for dataset, n in accepted(world).items() if dataset != notices}
