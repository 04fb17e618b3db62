"""A standby takes over from a manager that was killed or stopped: nothing lost, no two owners."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from emdata.contracts import contract
from tests.stream_manager.door import begin, end, read_topic
from tests.stream_manager.pair import FEMA, Pair, running_pair
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    # No simulator runs: the managers' polls fail, and all records are the client's.
    with running_platform(only="postgres,kafka") as running:
        yield running


def landed(platform: Platform, writer: int) -> dict[int, str]:
    """What Kafka holds of a writer, by seq: the key, equal in every copy."""
    found: dict[int, str] = {}
    for value in read_topic(platform.settings.kafka_servers, contract(FEMA).dataset.topic):
        if value["writer"] == writer:
            key = found.setdefault(value["seq"], value["record_key"])
            assert key == value["record_key"], f"seq {value['seq']}: two records"
    return found


def accepted(platform: Platform, writer: int) -> int:
    """What the polls in PostgreSQL accepted."""
    rows = platform.state_sql(
        f"SELECT coalesce(sum(accepted), 0) AS accepted FROM poll_datasets WHERE writer = {writer}"
    )
    return int(rows[0]["accepted"])


def assert_exact(platform: Platform, pair: Pair, writer: int) -> None:
    """Numbers 1 to n without a gap, n as the polls say, and all that was acknowledged."""
    pair.client.done.set()

    def adds_up() -> bool:
        found = landed(platform, writer)
        return sorted(found) == list(range(1, accepted(platform, writer) + 1))

    wait_for(adds_up, 60, "Kafka and the polls to agree", interval=0.5)
    assert set(pair.client.acknowledged) <= set(landed(platform, writer).values())


def assert_refused(platform: Platform, writer: int) -> None:
    """A manager that is no standby is refused, in one line, while another has the buffer."""
    platform.environment["EMDATA_WRITER"] = str(writer)
    try:
        done = platform.emdata("manager", "run", check=False)
    finally:
        del platform.environment["EMDATA_WRITER"]
    assert done.returncode == 1
    assert "is in use by another stream manager" in done.stderr.splitlines()[-1]


def test_a_standby_takes_over_from_a_killed_manager_and_loses_nothing(platform: Platform) -> None:
    with running_pair(platform, 11) as pair:
        assert_refused(platform, 11)
        epoch = pair.active.account()["epoch"]
        pair.active.signal(signal.SIGKILL)
        began = time.monotonic()
        pair.standby.wait_role("active")
        pair.client.wait_more()
        assert pair.client.longest_gap(began) < 15
        status = pair.standby.account()
        assert status["writer"] == 11
        assert status["epoch"] == epoch + 1
        # The one that died comes back as the standby of the other.
        pair.active.is_standby = True
        pair.active.process.wait(10)
        pair.active.start()
        pair.active.wait_role("standby")
        wait_for(
            lambda: pair.standby.account()["high_availability"]["standby"], 20, "it to be seen"
        )
        assert_exact(platform, pair, 11)


def test_a_stopped_manager_that_continues_is_fenced_and_ends(platform: Platform) -> None:
    with running_pair(platform, 12) as pair:
        pair.active.signal(signal.SIGSTOP)
        began = time.monotonic()
        pair.standby.wait_role("active")
        pair.client.wait_more()
        assert pair.client.longest_gap(began) < 15
        pair.active.signal(signal.SIGCONT)
        assert pair.active.process.wait(30) == 1
        assert "another stream manager took over: buffer" in pair.active.tail().splitlines()[-1]
        pair.client.wait_more()
        assert_exact(platform, pair, 12)


@pytest.mark.long
def test_what_a_stopped_manager_was_writing_is_acknowledged_by_nobody(platform: Platform) -> None:
    """Stopped and continued again and again under load, at whatever moment that hits."""
    with running_pair(platform, 13) as pair:
        managers = [pair.active, pair.standby]
        for _ in range(5):
            old, new = managers
            old.signal(signal.SIGSTOP)
            new.wait_role("active")
            pair.client.wait_more()
            old.signal(signal.SIGCONT)
            assert old.process.wait(30) == 1
            old.is_standby = True
            old.start()
            old.wait_role("standby")
            managers.reverse()
        assert_exact(platform, pair, 13)


def test_loss_of_postgresql_neither_stops_the_active_manager_nor_starts_the_standby(
    platform: Platform,
) -> None:
    with running_pair(platform, 14) as pair:
        end(platform, "postgres")
        try:
            wait_for(
                lambda: not pair.standby.account()["high_availability"]["is_state_reachable"],
                20,
                "the standby to see it",
            )
            # Well beyond the life of the lease, and beyond the silence a standby waits for.
            until = time.monotonic() + 5
            while time.monotonic() < until:
                pair.client.wait_more()
            assert pair.active.role == "active"
            assert pair.standby.role == "standby"
        finally:
            begin(platform, "postgres")
        wait_for(
            lambda: pair.active.account()["high_availability"]["is_lease_held"], 30, "the lease"
        )
        # The lease had expired when PostgreSQL came back, and the holder was alive.
        assert pair.standby.role == "standby"
        assert pair.active.account()["epoch"] == 1
        assert_exact(platform, pair, 14)


@pytest.mark.long
def test_no_takeover_happens_while_postgresql_is_away(platform: Platform) -> None:
    with running_pair(platform, 15) as pair:
        end(platform, "postgres")
        try:
            pair.active.signal(signal.SIGKILL)
            wait_for(
                lambda: pair.standby.account()["high_availability"]["silent_seconds"] > 5,
                30,
                "the lease to be over",
            )
            assert pair.standby.role == "standby"
        finally:
            begin(platform, "postgres")
        pair.standby.wait_role("active")
        pair.client.wait_more()
        assert_exact(platform, pair, 15)


@pytest.mark.long
def test_a_manager_that_ends_by_itself_is_followed_at_once(platform: Platform) -> None:
    with running_pair(platform, 16, EMDATA_LEASE_SECONDS="60") as pair:
        pair.active.signal(signal.SIGTERM)
        assert pair.active.process.wait(20) == 0
        # Far below the life of the lease: it was given back.
        pair.standby.wait_role("active", 30)
        assert_exact(platform, pair, 16)
