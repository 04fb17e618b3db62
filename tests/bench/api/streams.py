"""A thousand readers of server-sent events: from Kafka to all of them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from emdata.contracts.coagmet import HourlyObservation
from emdata.contracts.identity import utc_text
from emdata.envelope import Accepted, kafka_headers, kafka_value
from tests.api.world import World
from tests.bench.api.client import REPOSITORY
from tests.bench.api.fairness import holds, organization_headers
from tests.bench.api.world import COLLECTION, MANY, allow
from tests.bench.figures import Figure
from tests.support.waiting import wait_for

READERS = 1000
READERS_OF_ONE = 125
RECORDS = 20
EVERY_SECONDS = 0.5


def stream_figures(world: World, folder: Path, _rounds: int, _seconds: float) -> Iterator[Figure]:
    """p95 of the time from sending a record to Kafka until a reader has its event."""
    allow(world, "academic")
    headers = organization_headers(world, READERS // READERS_OF_ONE)
    path = f"/collections/{COLLECTION}"
    wait_for(lambda: holds(world, path, headers[0], MANY), 60, "the policy to hold")
    lines = folder / "headers"
    lines.write_text("\n".join(headers), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "tests.bench.api.listeners"),
        f"{world.url}/collections/{COLLECTION}/stream",
        *(f"--readers={READERS}", f"--records={RECORDS}", f"--headers={lines}"),
    ]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    print(process.stdout.readline().strip(), flush=True)
    sent = _send(world)
    arrived: dict[str, list[float]] = json.loads(process.stdout.readline())
    process.wait()
    waits = [at - sent[name] for name, times in arrived.items() for at in times]
    missing = READERS * RECORDS - len(waits)
    waits.sort()
    p95 = waits[int(len(waits) * 0.95)]
    print(f"INFO events p50 {statistics.median(waits):.3f} s, missing {missing}", flush=True)
    yield Figure("events_missing", missing, "events", 0, 0)
    yield Figure("event_to_1000_readers_p95", p95, "s", 1.0, 0.5)


def _send(world: World) -> dict[str, float]:
    """Send records at a pace; when each was sent, by its station."""
    producer = Producer({"bootstrap.servers": world.platform.settings.kafka_servers})
    topic = HourlyObservation.dataset.topic
    sent = {}
    begin = time.time()
    for number in range(RECORDS):
        time.sleep(max(0.0, begin + number * EVERY_SECONDS - time.time()))
        name = f"bench-{number:03d}"
        message = _message(name, number + 1, topic)
        sent[name] = time.time()
        producer.produce(
            topic, kafka_value(message), name.encode(), headers=list(kafka_headers(message))
        )
        producer.flush(10)
    return sent


def _message(name: str, seq: int, topic: str) -> Accepted:
    now = datetime.now(UTC)
    record = HourlyObservation(station_id=name, observed_at=now, air_temperature_c=12.5)
    return Accepted(
        dataset=COLLECTION,
        source="coagmet",
        stream="bench",
        topic=topic,
        writer=1,
        seq=seq,
        accepted_at=utc_text(now),
        poll_id="bench",
        record_key=record.record_key(),
        record_version=record.version_text(),
        kafka_key=name,
        key_hash=b"",
        content_hash=record.content_hash(),
        priority=int(record.priority()),
        is_simulated=True,
        payload=record.payload(),
    )
