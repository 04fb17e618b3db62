"""The main job on compose: what the simulator served is what landed, also under kills.

The embedded profile's own end-to-end test, with containers in place of processes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.containers.compose_platform import ComposePlatform, build_standins, running_compose
from tests.e2e.test_main_job import (
    STREAMS,
    World,
    assert_equal_to_the_witness,
    assert_ledger_settled,
    assert_windows_equal_a_recount,
    wait_for_moment,
)
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(3600),
]
KILLED = ("manager", "taskmanager", "kafka", "postgres")


@pytest.fixture(scope="module")
def platform(engine: None) -> Iterator[ComposePlatform]:
    build_standins()
    with running_compose() as running:
        yield running


@pytest.fixture(scope="module")
def world(platform: ComposePlatform) -> Iterator[World]:
    world = World(platform)  # type: ignore[arg-type]  # speaks as a Platform does
    world.simulator.ask("clock", {"freeze": True})
    wait_for(
        lambda: len(platform.state_sql("SELECT stream FROM streams")) == STREAMS,
        120,
        "all streams to be registered",
    )
    yield world
    world.engine.dispose()


def test_everything_is_healthy_and_one_shots_ended_well(platform: ComposePlatform) -> None:
    containers = platform.compose.containers()
    assert {one.service for one in containers} >= {
        *("kafka", "postgres", "starrocks-lite", "simulator", "migrations", "scrapers", "api"),
        *("flink-jobmanager", "flink-taskmanager", "flink-deploy"),
        *("dagster-code", "dagster-webserver", "dagster-daemon"),
    }
    assert [one for one in containers if not one.is_ready] == []
    assert platform.emdata("health").returncode == 0


def test_containers_started_in_the_order_of_their_dependencies(platform: ComposePlatform) -> None:
    def times(service: str) -> tuple[str, str]:
        (one,) = platform.containers(service)
        state = platform.inspect(one.name)["State"]
        return state["StartedAt"], state["FinishedAt"]

    migrated = times("migrations")[1]
    for server in ("kafka", "postgres", "starrocks"):
        assert times(server)[0] < times("migrations")[0]
    for later in ("scrapers", "api", "flink-deploy", "dagster-code"):
        assert times(later)[0] > migrated


def test_only_published_ports_reach_out_and_nothing_runs_as_root(
    platform: ComposePlatform,
) -> None:
    for one in platform.compose.containers():
        found = platform.inspect(one.name)
        assert found["Config"]["User"] not in ("", "0", "root", "0:0"), one.name
        for bindings in found["HostConfig"]["PortBindings"].values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, one.name


def test_no_password_is_seen_by_docker_inspect(platform: ComposePlatform) -> None:
    credentials = platform.context.credentials
    known = [line.partition("=")[2] for line in credentials.dotenv().splitlines()]
    for one in platform.compose.containers():
        text = str(platform.inspect(one.name))
        assert [secret for secret in known if secret in text] == [], one.name


def test_what_the_simulator_served_is_what_landed(world: World) -> None:
    world.poll()
    for seconds in (600, 3700):
        world.advance(seconds)
        world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)
    assert_windows_equal_a_recount(world)


@pytest.mark.parametrize("service", KILLED)
def test_nothing_is_lost_or_counted_twice_when_a_container_is_killed(
    world: World, service: str
) -> None:
    world.advance(1900)
    moments = ("asked", "first landing") if service == "postgres" else ("asked", "first answer")
    ids = world.ask()
    wait_for_moment(world, ids, random.Random(service).choice(moments))
    before = world.platform.kill(service)
    world.platform.wait_restarted(service, before, timeout=240)
    world.settled(world.answered(ids))
    world.poll()
    assert_ledger_settled(world)
    assert_equal_to_the_witness(world)


def test_nothing_is_lost_or_counted_twice_when_everything_is_restarted(
    world: World, platform: ComposePlatform
) -> None:
    world.advance(1900)
    world.poll()
    assert platform.compose.run("restart") == 0
    wait_for(
        lambda: all(one.is_ready for one in platform.compose.containers()),
        600,
        "all containers to be healthy again",
        interval=2.0,
    )
    world.simulator.ask("clock", {"freeze": True})
    world.poll()
    assert_ledger_settled(world)
    assert_equal_to_the_witness(world)
    assert_windows_equal_a_recount(world)


def test_a_full_stop_and_start_keeps_all_data(world: World, platform: ComposePlatform) -> None:
    def counts() -> dict[str, int]:
        tables = platform.sql("SHOW TABLES FROM raw_data")
        names = sorted(str(next(iter(row.values()))) for row in tables)
        return {
            name: platform.sql(f"SELECT COUNT(*) AS n FROM raw_data.{name}")[0]["n"]
            for name in names
        }

    world.poll()
    assert_ledger_settled(world)
    before = counts()
    world.engine.dispose()
    platform.emdata("stop")
    assert platform.compose.containers() == []
    platform.start()
    world.simulator.ask("clock", {"freeze": True})
    assert {name: n for name, n in counts().items() if n < before[name]} == {}
    world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)
