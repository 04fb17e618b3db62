"""docker-compose.ha.yml: a broker or the active manager stays away, or the JobManager ends.

Rounds of polls go on without it; nothing is lost and nothing counted twice. The platform is the one
of test_tls.py too (see conftest.py), so that both overlays are run at the price of one.
"""

from __future__ import annotations

import pytest

from tests.containers.compose_platform import (
    ComposePlatform,
)
from tests.support.waiting import wait_for
from tests.support.world import (
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
BROKERS = ("kafka", "kafka-2", "kafka-3")
MANAGERS = ("scrapers", "scrapers-standby")


def a_round(secured_world: World[ComposePlatform]) -> None:
    """A round of polls: what was served is what landed, once."""
    secured_world.advance(1900)
    secured_world.poll()
    assert_ledger_settled(secured_world)
    assert_equal_to_the_witness(secured_world)


def end(secured: ComposePlatform, service: str) -> None:
    """SIGKILL a container; it stays away, as after the end of its machine."""
    assert secured.compose.run("kill", service) == 0


def bring_back(secured: ComposePlatform, service: str) -> None:
    assert secured.compose.run("start", service) == 0
    wait_for(
        lambda: all(one.is_ready for one in secured.containers(service)),
        300,
        f"{service} to be healthy again",
        interval=1.0,
    )


def active(secured: ComposePlatform) -> str:
    """Which manager holds the buffer, as each of them says itself."""
    for service in MANAGERS:
        (one,) = secured.containers(service)
        if one.state != "running":
            continue
        text = secured.compose.ask(
            *("exec", "-T", service, "curl", "-sS", "http://127.0.0.1:8010/health")
        )
        if "standby" not in text:
            return service
    return ""


def test_topics_have_three_copies_of_which_two_must_confirm(secured: ComposePlatform) -> None:
    described = secured.compose.ask(
        *("exec", "-T", "kafka", "/opt/kafka/bin/kafka-topics.sh", "--describe"),
        *("--bootstrap-server", "kafka:19093", "--command-config", "/run/secrets/kafka_tools"),
        *("--topic", "weather-nws-alerts"),
    )
    assert "ReplicationFactor: 3" in described
    assert "min.insync.replicas=2" in described


def test_a_first_round_lands(secured_world: World[ComposePlatform]) -> None:
    secured_world.poll()
    a_round(secured_world)


@pytest.mark.parametrize("broker", BROKERS)
def test_nothing_is_lost_or_counted_twice_without_one_broker(
    secured_world: World[ComposePlatform], secured: ComposePlatform, broker: str
) -> None:
    ids = secured_world.ask()
    end(secured, broker)
    secured_world.settled(secured_world.answered(ids))
    a_round(secured_world)
    bring_back(secured, broker)
    a_round(secured_world)


def test_the_standby_goes_on_where_the_active_manager_ended(
    secured_world: World[ComposePlatform], secured: ComposePlatform
) -> None:
    for _ in range(2):  # there and back
        first = wait_for(lambda: active(secured), 60, "a manager to be active")
        secured_world.advance(1900)
        ids = secured_world.ask()
        end(secured, first)
        secured_world.settled(secured_world.answered(ids))
        assert active(secured) in set(MANAGERS) - {first}
        a_round(secured_world)
        bring_back(secured, first)
        assert active(secured) != first, "it came back as the standby"


def test_nothing_is_lost_or_counted_twice_without_the_jobmanager(
    secured_world: World[ComposePlatform], secured: ComposePlatform
) -> None:
    secured_world.advance(1900)
    ids = secured_world.ask()
    before = secured.kill("jobmanager")
    secured.wait_restarted("jobmanager", before, timeout=240)
    secured_world.settled(secured_world.answered(ids))
    a_round(secured_world)
    assert_windows_equal_a_recount(secured_world)
