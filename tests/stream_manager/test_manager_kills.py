"""The manager's process, killed and stopped at any moment: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from emdata.contracts import contracts
from emdata.state import connect
from emdata.state.reads import load_cursor
from emdata.state.requests import ask_polls
from emdata.state.requests import wait_for as wait_for_answers
from runtime.tasks import state_dsn
from stream_manager.delivery.sender_process import MAIN
from tests.stream_manager.door import begin, end, read_topic
from tests.support.platform import Platform, running_platform
from tests.support.posting import post_rows
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
FEMA = "fema_disaster_declarations"
ROUNDS = 8


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    settings = {"EMDATA_POLL_FACTOR": "0.01"}
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


@dataclass
class Client:
    """Posts batches of records for as long as it runs; remembers what was acknowledged."""

    platform: Platform
    acknowledged: list[str] = field(default_factory=list)
    attempts: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def post(self, rows: list[dict[str, Any]]) -> int:
        """Post rows once; returns the status, 0 when there was no answer."""
        status = post_rows(self.platform, FEMA, rows)
        if status != 200:
            return status
        self.acknowledged += [f"{row['disaster_number']}|{row['place_code']}" for row in rows]
        return 200

    def run(self) -> None:
        """Post until told."""
        while not self.done.wait(0.02):
            self.attempts += 1
            self.post([_row(900_000 + self.attempts, place) for place in range(20)])


def _row(number: int, place: int) -> dict[str, Any]:
    return {
        "disaster_number": number,
        "place_code": str(place),
        "declared_on": "2026-01-01",
        "refreshed_at": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    """A client that posts in a thread while the test runs."""
    platform.wait_ready("manager")
    made = Client(platform)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.done.set()
    thread.join()


def status(platform: Platform) -> dict[str, Any]:
    """The manager's own account; empty while it does not answer."""
    url = f"http://127.0.0.1:{platform.settings.manager_port}/status"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


def is_up(platform: Platform, *, polling: bool) -> bool:
    """Whether the manager answers, and with ``polling`` also knows its cursors."""
    found = status(platform)
    return bool(found) and (found["is_ready"] or not polling)


def polls_ended(platform: Platform) -> set[str]:
    """The sources of complete polls."""
    rows = platform.state_sql("SELECT DISTINCT source FROM polls WHERE outcome = 'ok'")
    return {row["source"] for row in rows}


def is_drained(platform: Platform) -> bool:
    """Whether everything accepted is in Kafka and counted in PostgreSQL."""
    found = status(platform)
    if not found or not found["is_ready"]:
        return False
    buffer = found["buffer"]
    waiting = sum(found["queues"].values()) + buffer["in_flight"] + buffer["parked"]
    return waiting == 0 and buffer["unapplied"] == 0


def in_kafka(platform: Platform) -> dict[str, dict[int, tuple[str, str]]]:
    """What Kafka holds by dataset and seq: key and content, equal in every copy."""
    held: dict[str, dict[int, tuple[str, str]]] = {}
    for name, record in contracts().items():
        by_seq: dict[int, tuple[str, str]] = {}
        for value in read_topic(platform.settings.kafka_servers, record.dataset.topic):
            found = (value["record_key"], value["content_hash"])
            assert by_seq.setdefault(value["seq"], found) == found, f"{name}: one seq, two records"
        held[name] = by_seq
    return held


def adds_up(platform: Platform) -> bool:
    """Whether Kafka holds the numbers 1 to n without a gap and the polls accepted n."""
    held = {name: set(seqs) for name, seqs in in_kafka(platform).items() if seqs}
    accepted = {
        row["dataset"]: int(row["accepted"])
        for row in platform.state_sql(
            "SELECT dataset, sum(accepted) AS accepted FROM poll_datasets"
            " GROUP BY dataset HAVING sum(accepted) > 0"
        )
    }
    return held == {name: set(range(1, count + 1)) for name, count in accepted.items()}


def assert_exact(platform: Platform, client: Client) -> None:
    """Kafka holds every number once (after keying) and PostgreSQL's polls add up to them."""
    client.done.set()
    wait_for(lambda: is_drained(platform), 90, "the manager to be drained", interval=0.2)
    # Polls go on meanwhile, so the two sides are read until they agree.
    wait_for(lambda: adds_up(platform), 60, "Kafka and the polls to agree", interval=0.5)
    keys = {key for key, _ in in_kafka(platform)[FEMA].values()}
    assert set(client.acknowledged) <= keys


def test_fault_7_and_25_a_manager_killed_at_random_moments_loses_and_doubles_nothing(
    platform: Platform, client: Client
) -> None:
    moments = random.Random(7)
    engine = connect(state_dsn(platform.context))
    for turn in range(ROUNDS):
        # Odd rounds die while the log is recovered and the state loaded, even ones while polling.
        wait_for(lambda n=turn: is_up(platform, polling=n % 2 == 0), 90, "the manager to be up")
        ask_polls(engine, ["fema", "nws"], "test")
        moment = time.monotonic() + moments.uniform(0, 1.5)
        wait_for(lambda at=moment: time.monotonic() >= at, 5, "a moment", interval=0.005)
        platform.kill("manager")
    wait_for(lambda: polls_ended(platform) >= {"fema", "nws"}, 90, "complete polls")
    assert_exact(platform, client)
    assert client.acknowledged
    engine.dispose()


def test_a_second_poll_after_kills_finds_everything_unchanged(platform: Platform) -> None:
    platform.wait_ready("manager")
    engine = connect(state_dsn(platform.context))
    stream = next(row["stream"] for row in status(platform)["sources"] if "fema" in row["stream"])
    for _ in range(2):
        (answer,) = wait_for_answers(engine, ask_polls(engine, [stream], "test"), 60)
    assert answer.outcome in ("ok", "not_modified")
    rows = platform.state_sql(
        f"SELECT accepted, unchanged FROM poll_datasets WHERE poll_id = '{answer.poll_id}'"
    )
    assert sum(row["accepted"] for row in rows) == 0
    newest = platform.state_sql(f"SELECT cursor FROM cursors WHERE stream = '{stream}'")
    assert newest[0]["cursor"] == load_cursor(engine, stream) != {}
    engine.dispose()


def test_fault_13_a_manager_killed_during_a_broker_outage_loses_nothing(
    platform: Platform, client: Client
) -> None:
    end(platform, "kafka")
    before = len(client.acknowledged)
    for _ in range(2):
        already = len(client.acknowledged)
        wait_for(lambda n=already: len(client.acknowledged) > n + 100, 60, "records to be taken")
        old = platform.kill("manager")
        platform.wait_restarted("manager", old)
    assert len(client.acknowledged) > before
    begin(platform, "kafka")
    assert_exact(platform, client)


def test_a_killed_manager_leaves_no_process_that_sends(platform: Platform) -> None:
    platform.wait_ready("manager")
    (sender,) = psutil.Process(platform.pid("manager")).children()
    assert MAIN in sender.cmdline()
    old = platform.kill("manager")
    assert not psutil.wait_procs([sender], timeout=20)[1]
    platform.wait_restarted("manager", old)


def test_fault_51_sigterm_during_load_and_while_kafka_is_away_is_quick_and_loses_nothing(
    platform: Platform, client: Client
) -> None:
    for is_kafka_away in (False, True):
        if is_kafka_away:
            end(platform, "kafka")
        already = len(client.acknowledged)
        wait_for(lambda n=already: len(client.acknowledged) > n + 100, 60, "load")
        pid = platform.kill("manager", signal.SIGTERM)
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda p=pid: not _is_alive(p), 20, "the manager to stop")
        assert time.monotonic() - began <= 10
        wait_for(lambda: status(platform), 60, "the manager to be back")
    begin(platform, "kafka")
    assert_exact(platform, client)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
