"""Control on real servers: two managers side by side, the lag of a real group, the audit table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from sqlalchemy import Engine

from emdata.clock import ManualClock, SystemClock
from emdata.state.audit import AuditEntry, audit_entries, store_audit
from emdata.state.requests import ask_polls
from emdata.state.requests import wait_for as wait_for_answers
from runtime.lag import Lag, consumer_lag
from stream_manager.control.lag import KafkaPositions, LagMeter, LagUnknown
from tests.stream_manager.door import make_topic
from tests.support.platform import Platform, running_platform
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
FIRST, SECOND = "coagmet_stations", "fema"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    settings = {"EMDATA_STREAMS": FIRST, "EMDATA_LAG_INTERVAL_S": "1"}
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


def get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def status(port: int) -> dict[str, Any]:
    text = get(port, "/status")
    return dict(json.loads(text)) if text else {}


@contextmanager
def another_manager(platform: Platform) -> Iterator[int]:
    """A manager of its own number, with other streams; yields its port."""
    (port,) = free_ports(1)
    environment = {
        **platform.environment,
        "EMDATA_WRITER": "2",
        "EMDATA_MANAGER_PORT": str(port),
        "EMDATA_STREAMS": SECOND,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "manager", "run"],
        env=environment,
        cwd=platform.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: get(port, "/health"), 60, "the second manager")
        yield port
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0


def streams(port: int) -> dict[str, Any]:
    return {row["stream"]: row for row in status(port).get("sources", [])}


def test_two_managers_run_different_streams_and_each_request_finds_its_own(
    platform: Platform, engine: Engine
) -> None:
    first = platform.settings.manager_port
    with another_manager(platform) as second:
        wait_for(
            lambda: streams(second).get(SECOND, {}).get("last_outcome") == "ok", 60, "its poll"
        )
        assert set(streams(first)) == {FIRST}
        assert set(streams(second)) == {SECOND}
        assert status(second)["writer"] == 2
        ids = ask_polls(engine, [FIRST, SECOND], "test")
        answered = wait_for_answers(engine, ids, 60)
        assert [one.stream for one in answered] == [FIRST, SECOND]
        assert all(one.outcome in ("ok", "not_modified") for one in answered), answered
        shown = streams(second)[SECOND]
        assert (shown["tenant"], shown["mode"], shown["breaker"]) == ("public", "real_time", "")
        assert 'stream_active_streams{tenant="public"} 1.0' in get(second, "/metrics")


def test_a_stream_that_is_not_there_is_refused_in_one_line(platform: Platform) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runtime", "manager", "run"],
        env={**platform.environment, "EMDATA_WRITER": "3", "EMDATA_STREAMS": "fema,nosuch"},
        cwd=platform.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "EMDATA_STREAMS: value 'nosuch' is not allowed; allowed: coagmet" in done.stderr
    assert "Traceback" not in done.stderr


def commit(servers: str, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    place = TopicPartition(topic, 0, offset)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def test_the_lag_of_a_group_is_the_age_of_its_oldest_unread_record(platform: Platform) -> None:
    servers, name = platform.settings.kafka_servers, uuid.uuid4().hex[:8]
    topic, group = f"lag-{name}", f"group-{name}"
    make_topic(servers, topic)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    producer = Producer({"bootstrap.servers": servers})
    for seconds in (500, 200, 50):
        producer.produce(topic, b"x", timestamp=now_ms - seconds * 1000)
    assert producer.flush(30) == 0
    reader = KafkaPositions(servers, SystemClock())
    try:
        ages = []
        for read in (None, 1, 2, 3):
            if read is not None:
                commit(servers, group, topic, read)
            position = reader.positions(group, topic)[topic, 0]
            assert (position.committed, position.end) == (read or 0, 3)
            ages.append(None if position.age_s is None else round(position.age_s, -1))
            behind = [one for one in consumer_lag(platform.settings) if one.group == group]
            assert behind == ([] if read is None else [Lag(group, topic, 3 - read)])
        assert ages == [500, 200, 50, None]
        meter = LagMeter(reader, {group: topic}, ManualClock())
        assert meter.measure() == {group: 0.0}
        assert reader.positions(group, f"no-{name}") == {}
    finally:
        reader.close()


def test_a_broker_that_is_away_makes_the_lag_unknown_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_manager.control.lag.TIMEOUT_S", 0.5)
    (port,) = free_ports(1)
    reader = KafkaPositions(f"127.0.0.1:{port}", SystemClock())
    try:
        with pytest.raises(LagUnknown, match="group in topic"):
            reader.positions("group", "topic")
    finally:
        reader.close()


def test_the_manager_measures_the_lag_of_its_landing_groups(platform: Platform) -> None:
    port = platform.settings.manager_port
    name = f'stream_consumer_lag_seconds{{group="emdata-landing-{FIRST}"}}'
    wait_for(lambda: name in get(port, "/metrics"), 60, name)
    # Nobody lands anything on this platform, so the stations of the first poll stay unread.
    wait_for(lambda: (status(port)["control"]["lag_s"] or 0) > 1, 60, "a lag")


def test_audit_entries_are_stored_once(engine: Engine) -> None:
    at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    entry = AuditEntry(uuid.uuid4().hex, 1, at, "critical_overflow", "queue CRITICAL", {"most": 51})
    store_audit(engine, [entry])
    store_audit(engine, [entry])
    assert [one for one in audit_entries(engine) if one.id == entry.id] == [entry]
