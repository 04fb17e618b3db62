"""Records of a client whose manager is away: Kafka gets them, and the ledger still settles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from emdata.clock import SystemClock
from emdata.contracts import contract, contracts
from emdata.errors import SourceUnavailable
from emergency_pipeline.resources import KafkaResource
from runtime.tasks import state_dsn
from stream_manager.clients.client import ManagerClient, Sent, client_buffers
from stream_manager.clients.clients import UNFINISHED
from stream_manager.clients.degraded import DegradedConfig, DegradedWriter
from tests.stream_manager.door import begin, end, read_topic
from tests.stream_manager.pair import FEMA, Manager, row
from tests.support.platform import Platform, running_platform
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TOPIC = contract(FEMA).dataset.topic


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres,kafka,starrocks") as running:
        yield running


def config(platform: Platform, buffers: Path) -> DegradedConfig:
    """A client of a platform, with buffers of the test's own."""
    return DegradedConfig(
        name="test",
        buffers=buffers,
        dsn=state_dsn(platform.context),
        kafka=platform.settings.kafka,
        records=contracts(),
        is_simulated=True,
    )


@contextmanager
def client(platform: Platform, buffers: Path) -> Iterator[ManagerClient]:
    """A client whose manager's port is closed."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    made = ManagerClient(
        [url],
        token=lambda: "none",
        fallback=lambda: DegradedWriter(config(platform, buffers), SystemClock()),
    )
    try:
        yield made
    finally:
        made.close()


def bodies(first: int, count: int) -> list[bytes]:
    """Records as JSON."""
    return [json.dumps(row(first + number, 0)).encode() for number in range(count)]


def writer_of(buffers: Path) -> int:
    """The number of the only client."""
    (base,) = client_buffers(buffers)
    return int(base.name)


def in_kafka(platform: Platform, writer: int) -> dict[int, str]:
    """What Kafka holds of a writer: key by seq."""
    values = read_topic(platform.settings.kafka_servers, TOPIC)
    return {one["seq"]: one["record_key"] for one in values if one["writer"] == writer}


def headers_in_kafka(platform: Platform, writer: int) -> list[dict[str, bytes]]:
    """The headers of a writer's messages."""
    consumer = Consumer(
        {
            "bootstrap.servers": platform.settings.kafka_servers,
            "group.id": f"read-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found = []
    consumer.subscribe([TOPIC])
    try:
        while (message := consumer.poll(20)) is not None and message.error() is None:
            pairs = {
                pair[0]: pair[1] for pair in message.headers() or [] if isinstance(pair[1], bytes)
            }
            if pairs["ce_id"].startswith(f"{writer}-".encode()):
                found.append(pairs)
    finally:
        consumer.close()
    return found


def polls(platform: Platform, writer: int) -> int:
    """What PostgreSQL says that a writer accepted."""
    rows = platform.state_sql(
        f"SELECT coalesce(sum(accepted), 0) AS n FROM poll_datasets WHERE writer = {writer}"
    )
    return int(rows[0]["n"])


def land(platform: Platform, writer: int) -> None:
    """Land what Kafka holds of a writer, in place of the Flink job: once by identity."""
    names = ("accepted_on", "writer", "seq", "accepted_at", "poll_id", "record_key")
    rows = {
        value["seq"]: value
        for value in read_topic(platform.settings.kafka_servers, TOPIC)
        if value["writer"] == writer
    }
    fields = [*names, "content_hash", "priority", "is_simulated"]
    fields += ["disaster_number", "place_code", "declared_on", "refreshed_at"]
    warehouse = platform.warehouse()
    ordered = sorted(rows)
    for start in range(0, len(ordered), 200):
        some = [rows[seq] for seq in ordered[start : start + 200]]
        marks = ", ".join(["(" + ", ".join(["%s"] * len(fields)) + ")"] * len(some))
        warehouse.query(
            f"INSERT INTO raw_data.{FEMA} ({', '.join(fields)}) VALUES {marks}",
            tuple(value[name] for value in some for name in fields),
        )


def test_records_reach_kafka_without_the_manager_and_the_ledger_settles(
    platform: Platform, tmp_path: Path
) -> None:
    buffers = platform.paths.buffer
    with client(platform, buffers) as away:
        sent = Sent()
        for start in range(0, 1000, 250):
            sent += away.post(FEMA, bodies(500_000 + start, 250))
        assert (sent.accepted, sent.degraded, away.is_degraded) == (1000, 1000, True)
        bad = away.post(FEMA, [b'{"place_code": "0"}'])
        assert (bad.accepted, len(bad.rejected)) == (0, 1)
    writer = writer_of(buffers)
    assert writer >= 100_000
    assert not (buffers / str(writer) / UNFINISHED).exists()
    assert sorted(in_kafka(platform, writer)) == list(range(1, 1001))
    assert polls(platform, writer) == 1000
    headers = headers_in_kafka(platform, writer)
    assert len(headers) == 1000
    assert {one["emdata_degraded"] for one in headers} == {b"true"}
    assert {one["ce_source"] for one in headers} == {f"/emdata/writers/{writer}/fema".encode()}

    land(platform, writer)
    manager = Manager(platform, free_ports(1)[0], False, tmp_path / "manager.log")
    manager.start()
    try:
        manager.wait_role("active")

        def is_settled() -> bool:
            rows = platform.state_sql(f"SELECT * FROM landed WHERE writer = {writer}")
            return bool(rows) and rows[0]["settled_seq"] == rows[0]["landed"] == 1000

        wait_for(is_settled, 40, "the ledger of the client to settle")
        (shown,) = wait_for(lambda: manager.account()["clients"], 20, "the client to be shown")
        assert shown["accepted"] == {FEMA: 1000}
        assert (shown["name"], shown["is_writing"], shown["is_unfinished"]) == (
            "test",
            False,
            False,
        )
    finally:
        manager.end()


CRASHING = """
import json, os, sys
from pathlib import Path
from emdata.clock import SystemClock
from emdata.contracts import contracts
from stream_manager.clients.degraded import DegradedConfig, DegradedWriter
buffers, dsn, servers = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
writer = DegradedWriter(
    DegradedConfig("test", buffers, dsn, servers, contracts(), True), SystemClock()
)
for line in sys.stdin:
    status, answer = writer.post("fema_disaster_declarations", line.encode())
    print(status, json.loads(answer)["accepted"], flush=True)
"""


def post_and_die(platform: Platform, buffers: Path, first: int) -> None:
    """A process that takes two batches of 50 while Kafka is away, and is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", CRASHING, str(buffers), state_dsn(platform.context),
         platform.settings.kafka_servers],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=platform.environment,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for start in (0, 50):
        batch = b",".join(bodies(first + start, 50)).decode()
        process.stdin.write(f"[{batch}]\n")
        process.stdin.flush()
        assert next(line for line in process.stdout if line.startswith("200")) == "200 50\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdin.close()
    process.stdout.close()


def test_what_a_killed_client_left_is_finished_by_the_manager(
    platform: Platform, tmp_path: Path
) -> None:
    buffers = platform.paths.buffer
    end(platform, "kafka")
    try:
        post_and_die(platform, buffers, 600_000)
    finally:
        begin(platform, "kafka")
    (writer,) = [int(base.name) for base in client_buffers(buffers) if (base / UNFINISHED).exists()]
    keys = {f"{600_000 + number}|0" for number in range(100)}
    assert not keys & set(in_kafka(platform, writer).values())
    manager = Manager(platform, free_ports(1)[0], False, tmp_path / "manager.log")
    manager.start()
    try:
        manager.wait_role("active")
        wait_for(lambda: not (buffers / str(writer) / UNFINISHED).exists(), 60, "it to be finished")
        found = in_kafka(platform, writer)
        assert keys <= set(found.values())
        assert sorted(found) == list(range(1, len(found) + 1))
        assert polls(platform, writer) == len(found)
        # The manager is there again, so it takes what comes.
        back = ManagerClient(
            [f"http://127.0.0.1:{manager.port}"],
            token=lambda: platform.context.credentials.ingest_token,
        )
        assert back.post(FEMA, bodies(700_000, 10)) == Sent(accepted=10)
    finally:
        manager.end()


def test_numbers_go_on_where_the_client_left_them(platform: Platform, tmp_path: Path) -> None:
    for turn in range(2):
        with client(platform, tmp_path) as away:
            assert away.post(FEMA, bodies(800_000 + turn * 100, 20)).degraded == 20
    assert sorted(in_kafka(platform, writer_of(tmp_path))) == list(range(1, 41))


def test_two_clients_at_once_are_two_writers(platform: Platform, tmp_path: Path) -> None:
    with client(platform, tmp_path) as one, client(platform, tmp_path) as other:
        assert one.post(FEMA, bodies(810_000, 5)).degraded == 5
        assert other.post(FEMA, bodies(810_100, 5)).degraded == 5
    found = client_buffers(tmp_path)
    assert len(found) == 2
    for base in found:
        assert sorted(in_kafka(platform, int(base.name))) == [1, 2, 3, 4, 5]


def test_a_prepared_client_goes_on_without_manager_and_postgresql(
    platform: Platform, tmp_path: Path
) -> None:
    unprepared = tmp_path / "unprepared"
    with closing(DegradedWriter(config(platform, tmp_path), SystemClock())) as later:
        assert later.prepare()
    end(platform, "postgres")
    try:
        with (
            client(platform, unprepared) as away,
            pytest.raises(SourceUnavailable, match="no number to write under"),
        ):
            away.post(FEMA, bodies(820_000, 5))
        with client(platform, tmp_path) as away:
            assert away.post(FEMA, bodies(820_000, 30)).degraded == 30
        writer = writer_of(tmp_path)
        assert len(in_kafka(platform, writer)) == 30
        # Its COMMIT waits in the log.
        assert (tmp_path / str(writer) / UNFINISHED).exists()
    finally:
        begin(platform, "postgres")
    assert polls(platform, writer) == 0
    with client(platform, tmp_path) as away:
        assert away.post(FEMA, bodies(830_000, 1)).degraded == 1
    assert polls(platform, writer) == 31


def test_dagsters_producer_says_that_it_wrote_without_the_manager(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
    resource = KafkaResource(
        bootstrap_servers=platform.settings.kafka_servers,
        manager_url=f"http://127.0.0.1:{free_ports(1)[0]}",
    )
    began = time.monotonic()
    with resource.get_producer() as producer:
        record: dict[str, Any] = row(840_000, 0)
        producer.send(FEMA, record)
        assert producer.flush() == Sent(accepted=1, degraded=1)
        assert producer.is_degraded
    assert time.monotonic() - began < 30
