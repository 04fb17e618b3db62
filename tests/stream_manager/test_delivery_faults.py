"""The way to Kafka while the broker, its topics or PostgreSQL misbehave; on real servers."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from sqlalchemy import Engine, make_url

from emdata.commits import Commit
from emdata.contracts.base import Priority
from emdata.state import connect
from runtime.tasks import state_dsn
from stream_manager.control.breaker import Breaker, State
from stream_manager.delivery.sender_process import MAIN
from stream_manager.state.resend import KafkaUnavailable, resend_from_topic
from tests.stream_manager.door import (
    Door,
    assert_exact,
    begin,
    delete_topic,
    door,
    end,
    make_topic,
    read_topic,
    undelivered,
)
from tests.stream_manager.making import commit
from tests.stream_manager.test_session import Thing
from tests.support.platform import Platform, running_platform
from tests.support.proxy import Proxy, proxy_to
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


class Elsewhere(Thing, frozen=True, kw_only=True):
    """A record whose topic was never made."""

    dataset = replace(Thing.dataset, domain="elsewhere")


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres,kafka") as running:
        yield running


@pytest.fixture
def way(platform: Platform, engine: Engine, tmp_path: Path) -> Iterator[Door]:
    with door(platform, tmp_path, engine) as made:
        yield made


def offer_steadily(way: Door, batches: int, until: threading.Event) -> threading.Thread:
    """Append batches of 50 in a thread, 20 a second, until told or done."""

    def run() -> None:
        for batch in range(batches):
            way.offer(range(50 * batch, 50 * batch + 50))
            if until.wait(0.05):
                return

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_fault_10_a_broker_killed_mid_batch_loses_nothing_and_keeps_the_order(
    platform: Platform, way: Door
) -> None:
    done = threading.Event()
    offering = offer_steadily(way, 200, done)
    wait_for(lambda: len(way.offered) >= 10, 60, "records on their way")
    old = platform.kill("kafka")
    platform.wait_restarted("kafka", old)
    done.set()
    offering.join()
    count = way.acknowledged()
    way.wait_delivered(90)
    assert_exact(read_topic(way.servers, way.topic), count)


def test_fault_7_a_killed_sending_process_is_replaced_and_nothing_is_lost(way: Door) -> None:
    done = threading.Event()
    offering = offer_steadily(way, 200, done)
    killed: set[int] = set()

    def new_process() -> int | None:
        return next(iter(sending_processes() - killed), None)

    for turn in range(3):
        wait_for(lambda more=10 * turn: len(way.offered) > more, 60, "records on their way")
        pid = wait_for(new_process, 30, "a process that sends")
        killed.add(pid)
        os.kill(pid, signal.SIGKILL)
    done.set()
    offering.join()
    count = way.acknowledged()
    way.wait_delivered(90)
    assert_exact(read_topic(way.servers, way.topic), count)


def sending_processes() -> set[int]:
    """The living children of this process that send for an intake."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if MAIN in child.cmdline():
                found.add(child.pid)
    return found


def test_a_segment_that_cannot_be_read_by_the_sending_process_waits_until_it_can(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    with door(platform, tmp_path, engine, is_cut_off=True) as way:
        way.offer(range(100))
        count = way.acknowledged()
        (segment,) = [path for path in tmp_path.glob("*.seg") if path.stat().st_size > 1000]
        hidden = segment.rename(tmp_path / "hidden")
        way.is_cut_off = False
        wait_for(lambda: way.intake.delivery.parked == 100, 60, "the records to be parked")
        assert read_topic(way.servers, way.topic) == []
        hidden.rename(segment)
        way.wait_delivered(90)
        assert_exact(read_topic(way.servers, way.topic), count)


def freeze(platform: Platform, way: Door, seconds: float) -> None:
    pid = platform.pid("kafka")
    done = threading.Event()
    os.kill(pid, signal.SIGSTOP)
    frozen_at = time.monotonic()
    try:
        offering = offer_steadily(way, 40, done)
        wait_for(lambda: time.monotonic() - frozen_at >= seconds, seconds + 5, "the time to pass")
        assert undelivered(way.intake) > 0
    finally:
        os.kill(pid, signal.SIGCONT)
        done.set()
        offering.join()
    count = way.acknowledged()
    way.wait_delivered(120)
    assert_exact(read_topic(way.servers, way.topic), count)


def test_fault_12_a_broker_frozen_for_a_while_leaves_no_gap(platform: Platform, way: Door) -> None:
    freeze(platform, way, 12)


@pytest.mark.long
def test_fault_12_a_broker_frozen_for_45_s_leaves_no_gap(platform: Platform, way: Door) -> None:
    freeze(platform, way, 45)


def test_fault_14_critical_overtakes_the_backlog_of_a_second_outage(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    with door(platform, tmp_path, engine, is_cut_off=True) as way:
        _second_outage(platform, way)


def _second_outage(platform: Platform, way: Door) -> None:
    for start in range(0, 20_000, 500):
        way.offer(range(start, start + 500), size=800)
    first = way.acknowledged()
    way.is_cut_off = False
    wait_for(lambda: undelivered(way.intake) < first, 90, "the replay to begin", interval=0.005)
    broker = platform.kill("kafka", signal.SIGSTOP)
    way.offer(range(20_000, 20_500))
    way.close()  # and the manager restarts during the second outage
    assert undelivered(way.intake) > 500
    way.open()
    way.offer(range(30_000, 30_001), priority=Priority.CRITICAL)
    count = way.acknowledged()
    os.kill(broker, signal.SIGKILL)
    platform.wait_restarted("kafka", broker)
    way.wait_delivered(120)
    values = read_topic(way.servers, way.topic)
    assert_exact(values, count)
    seqs = [value["seq"] for value in values]
    assert len(seqs) - seqs.index(count) > 400, "CRITICAL arrived with the last"


def test_fault_16_a_deleted_topic_holds_up_no_other_and_is_served_once_it_is_back(
    platform: Platform, way: Door
) -> None:
    gone = f"{way.topic}-gone"
    make_topic(way.servers, gone)
    way.offer(range(20), topic=gone)
    way.wait_delivered()
    delete_topic(way.servers, gone)
    way.offer(range(20, 40), topic=gone)
    wait_for(lambda: way.intake.delivery.parked > 0, 60, "records to be parked")
    way.offer(range(40, 60))
    wait_for(lambda: len(read_topic(way.servers, way.topic)) == 20, 30, "the other topic's records")
    make_topic(way.servers, gone)
    way.wait_delivered(90)
    seqs = sorted(value["seq"] for value in read_topic(way.servers, gone))
    assert set(seqs) >= set(range(21, 41))


def test_fault_16_a_topic_that_gets_more_partitions_loses_nothing(way: Door) -> None:
    done = threading.Event()
    offering = offer_steadily(way, 60, done)
    wait_for(lambda: len(way.offered) >= 10, 60, "records on their way")
    admin = AdminClient({"bootstrap.servers": way.servers, "log_level": 0})
    admin.create_partitions([NewPartitions(way.topic, 3)])[way.topic].result(30)
    offering.join()
    way.wait_delivered(90)
    seqs = {value["seq"] for value in read_topic(way.servers, way.topic)}
    assert seqs == set(range(1, way.acknowledged() + 1))


def test_fault_17_a_message_too_large_for_its_topic_dies_alone(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    # Cut off at first, so that all of them travel in one batch.
    with door(platform, tmp_path, engine, is_cut_off=True, max_message_bytes="20000") as way:
        way.offer(range(5))
        way.offer(range(5, 6), size=0)
        way.intake.writer.append([_incompressible(way, 6)])
        way.offer(range(7, 12))
        way.acknowledged()
        way.is_cut_off = False
        way.wait_delivered(90)
        values = read_topic(way.servers, way.topic)
        assert sorted({value["seq"] for value in values}) == [*range(1, 7), *range(8, 13)]
        wait_for(lambda: way.intake.applier.depth() == 0, 30, "the dead letter in PostgreSQL")
        dead = platform.state_sql(
            "SELECT seq, cause, reason, dataset, length(payload) AS size FROM dead_letters"
            f" WHERE writer = {way.writer}"
        )
    assert [(row["seq"], row["cause"], row["dataset"]) for row in dead] == [
        (7, "kafka_refused", "made_things")
    ]
    assert "MSG_SIZE_TOO_LARGE" in dead[0]["reason"]
    assert dead[0]["size"] > 40_000


def _incompressible(way: Door, number: int) -> object:
    import msgspec

    from tests.stream_manager.making import draft

    payload = b'{"n":%d,"pad":"%s"}' % (number, os.urandom(40_000).hex().encode())
    made = draft(number, poll_id=f"p{way.writer}")
    return msgspec.structs.replace(made, topic=way.topic, payload=payload)


def test_postgres_away_delivery_goes_on_and_polls_are_counted_later(
    platform: Platform, way: Door
) -> None:
    end(platform, "postgres")
    way.offer(range(50))
    ended = _ended(way)
    way.intake.writer.append([], commit=ended).result(30)
    way.wait_delivered()
    assert len(read_topic(way.servers, way.topic)) == 50
    assert way.intake.applier.depth() == 1
    wait_for(lambda: not way.intake.applier.is_reachable, 30, "the loss to be noticed")
    begin(platform, "postgres")
    wait_for(lambda: way.intake.applier.depth() == 0, 60, "the poll to be counted")
    rows = platform.state_sql(
        f"SELECT outcome, accepted FROM polls JOIN poll_datasets USING (poll_id)"
        f" WHERE polls.writer = {way.writer}"
    )
    assert rows == [{"outcome": "ok", "accepted": 50}]


def test_fault_19_half_open_connections_to_kafka_are_noticed_and_nobody_waits_with_them(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    topic = f"half-open-{uuid.uuid4().hex[:8]}"
    make_topic(platform.settings.kafka_servers, topic)
    with proxy_to(platform.settings.kafka_port, is_kafka=True) as proxy:
        soon = {"request.timeout.ms": 3000, "socket.timeout.ms": 3000}
        way = Door(tmp_path, engine, f"127.0.0.1:{proxy.port}", topic, extra=soon)
        try:
            _half_open(way, proxy)
        finally:
            way.close()
    assert_exact(read_topic(platform.settings.kafka_servers, topic), way.acknowledged())


def _half_open(way: Door, proxy: Proxy) -> None:
    way.offer(range(50))
    way.wait_delivered()
    proxy.forget()  # the connections of now are dead, and nobody says so
    began = time.monotonic()
    way.offer(range(50, 100), priority=Priority.CRITICAL)
    way.offer(range(100, 150))
    way.wait_delivered(60)
    assert time.monotonic() - began <= 20, "several times the request's timeout"
    proxy.hang()  # now new connections are half open too
    breaker = way.intake.delivery.breaker
    breaker._report_s, breaker.breaker = 1.0, Breaker(waits=(0.0, 0.1, 0.1))
    for failures in (1, 2, 3):  # one batch after another goes without a report
        way.offer(range(200 + failures, 201 + failures))
        wait_for(
            lambda wanted=failures: breaker.breaker.failures >= wanted, 15, "a failure to be noted"
        )
    assert breaker.state is State.OPEN
    way.offer(range(300, 350), priority=Priority.CRITICAL)
    count = way.acknowledged()
    began = time.monotonic()
    way.close()
    assert time.monotonic() - began <= 10, "no thread may hang with the connection"
    proxy.drop()
    way.open()
    way.wait_delivered(90)
    assert count == way.acknowledged()


def test_fault_19_a_half_open_connection_to_postgres_holds_up_its_own_thread_alone(
    platform: Platform, tmp_path: Path
) -> None:
    with proxy_to(platform.settings.postgres_port) as proxy:
        behind = connect(make_url(state_dsn(platform.context)).set(port=proxy.port))
        with behind.connect() as connection:
            pg = connection.connection.driver_connection.info  # type: ignore[union-attr]
            assert pg.get_parameters()["tcp_user_timeout"] == "15000"
        with door(platform, tmp_path, behind) as way:
            proxy.forget()
            way.offer(range(50))
            way.intake.writer.append([], commit=_ended(way)).result(30)
            way.wait_delivered()
            assert way.intake.applier.depth() == 1
            way.close()  # does not wait for PostgreSQL either
            way.open()
            proxy.drop()  # as the kernel does after tcp_user_timeout
            wait_for(lambda: way.intake.applier.depth() == 0, 60, "the poll to be counted")
        behind.dispose()


def _ended(way: Door) -> Commit:
    import msgspec

    made = commit(f"p{way.writer}", accepted=50, stream=f"made-{way.writer}")
    return msgspec.structs.replace(made, writer=way.writer)


@pytest.mark.long
def test_fault_51_a_stop_while_the_broker_is_away_is_quick_and_loses_nothing(
    platform: Platform, way: Door
) -> None:
    way.offer(range(10))
    way.wait_delivered()
    end(platform, "kafka")
    way.offer(range(10, 500))
    count = way.acknowledged()
    began = time.monotonic()
    way.close()
    assert time.monotonic() - began <= 10
    begin(platform, "kafka")
    way.open()
    way.wait_delivered(90)
    assert_exact(read_topic(way.servers, way.topic), count)


def test_records_that_a_table_lost_are_sent_again_from_the_topic(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    topic = Thing.dataset.topic
    make_topic(platform.settings.kafka_servers, topic)
    with door(platform, tmp_path, engine) as way:
        way.offer(range(10), topic=topic)
        way.offer(range(10, 11), topic=topic, size=2_000_000)
        way.wait_delivered()
        assert resend_from_topic(way.servers, Thing, way.writer, [3, 11, 99]) == 2
        values = read_topic(way.servers, topic)
    assert [value["seq"] for value in values] == [*range(1, 12), 3, 11]
    assert values[2] == values[11]
    with pytest.raises(KafkaUnavailable, match="does not exist"):
        resend_from_topic(way.servers, Elsewhere, way.writer, [1])
