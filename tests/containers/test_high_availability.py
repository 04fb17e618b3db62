"""docker-compose.ha.yml: one broker, the active manager or the JobManager is gone and stays away.

The rounds of the end-to-end test go on without it; nothing is lost and nothing counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.compose_platform import (
    STANDINS,
    ComposePlatform,
    build_standins,
    running_compose,
)
from tests.support.waiting import wait_for
from tests.support.world import (
    STREAMS,
    World,
    assert_equal_to_the_witness,
    assert_ledger_settled,
    assert_windows_equal_a_recount,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(3600),
]
FILES = ("docker-compose.ha.yml", STANDINS, "tests/containers/standins-ha.yml")
BROKERS = ("kafka", "kafka-2", "kafka-3")
MANAGERS = ("scrapers", "scrapers-standby")


@pytest.fixture(scope="module")
def platform(engine: None) -> Iterator[ComposePlatform]:
    build_standins()
    with running_compose(settings={"EMDATA_COMPOSE_FILES": ",".join(FILES)}) as running:
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


def a_round(world: World) -> None:
    """A round of polls: what was served is what landed, once."""
    world.advance(1900)
    world.poll()
    assert_ledger_settled(world)
    assert_equal_to_the_witness(world)


def end(platform: ComposePlatform, service: str) -> None:
    """SIGKILL a container; it stays away, as after the end of its machine."""
    assert platform.compose.run("kill", service) == 0


def bring_back(platform: ComposePlatform, service: str) -> None:
    assert platform.compose.run("start", service) == 0
    wait_for(
        lambda: all(one.is_ready for one in platform.containers(service)),
        300,
        f"{service} to be healthy again",
        interval=1.0,
    )


def active(platform: ComposePlatform) -> str:
    """Which manager holds the buffer, as each of them says itself."""
    for service in MANAGERS:
        (one,) = platform.containers(service)
        if one.state != "running":
            continue
        text = platform.compose.ask(
            *("exec", "-T", service, "curl", "-sS", "http://127.0.0.1:8010/health")
        )
        if "standby" not in text:
            return service
    return ""


def test_topics_have_three_copies_of_which_two_must_confirm(platform: ComposePlatform) -> None:
    described = platform.compose.ask(
        *("exec", "-T", "kafka", "/opt/kafka/bin/kafka-topics.sh", "--describe"),
        *("--bootstrap-server", "kafka:19092", "--topic", "weather-nws-alerts"),
    )
    assert "ReplicationFactor: 3" in described
    assert "min.insync.replicas=2" in described


def test_a_first_round_lands(world: World) -> None:
    world.poll()
    a_round(world)


@pytest.mark.parametrize("broker", BROKERS)
def test_nothing_is_lost_or_counted_twice_without_one_broker(
    world: World, platform: ComposePlatform, broker: str
) -> None:
    ids = world.ask()
    end(platform, broker)
    world.settled(world.answered(ids))
    a_round(world)
    bring_back(platform, broker)
    a_round(world)


def test_the_standby_goes_on_where_the_active_manager_ended(
    world: World, platform: ComposePlatform
) -> None:
    for _ in range(2):  # there and back
        first = wait_for(lambda: active(platform), 60, "a manager to be active")
        world.advance(1900)
        ids = world.ask()
        end(platform, first)
        world.settled(world.answered(ids))
        assert active(platform) in set(MANAGERS) - {first}
        a_round(world)
        bring_back(platform, first)
        assert active(platform) != first, "it came back as the standby"


def test_nothing_is_lost_or_counted_twice_without_the_jobmanager(
    world: World, platform: ComposePlatform
) -> None:
    world.advance(1900)
    ids = world.ask()
    before = platform.kill("jobmanager")
    platform.wait_restarted("jobmanager", before, timeout=240)
    world.settled(world.answered(ids))
    a_round(world)
    assert_windows_equal_a_recount(world)
