"""How fast the landing jobs take records: TaskManagers, partitions, parallelism.

What landing needs, in containers (lite; with stand-ins for published images where
``EMDATA_COMPOSE_FILES`` names them), without API and Dagster. Polls are stopped; copies of one
record that was polled, each under a sequence number of its own, are written to the record's topic
at once. The rate is their number by the seconds from the first one written to the last one that a
SELECT finds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from emdata.contracts import contracts
from tests.bench.figures import Figure, report
from tests.containers.compose_platform import (
    STANDINS,
    ComposePlatform,
    build_standins,
    running_compose,
)
from tests.containers.scaling import scale, wait_landing
from tests.support.waiting import wait_for

SERVICES = "simulator,scrapers,flink-deploy,starrocks-lite"
DATASET = "coagmet_hourly_observations"
RECORDS, ROUNDS = 100_000, 3
WARM_UP = 2_000
FIRST_WRITER = 100
AIM = 10_000.0
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Case:
    """What runs: ``parallelism`` is EMDATA_LANDING_PARALLELISM, instances on each TaskManager."""

    taskmanagers: int
    partitions: int
    parallelism: int

    @property
    def name(self) -> str:
        """The figure's name."""
        return f"landing_{self.taskmanagers}tm_{self.partitions}partitions_{self.parallelism}each"


# Partitions are only ever added.
CASES = (Case(1, 1, 1), Case(2, 1, 1), Case(2, 4, 1), Case(1, 4, 1), Case(1, 4, 2))


def main() -> int:
    """Measure; a figure is the median of its rounds."""
    files = os.environ.get("EMDATA_COMPOSE_FILES", STANDINS)
    if STANDINS in files:
        build_standins()
    figures = []
    with running_compose(SERVICES, {"EMDATA_COMPOSE_FILES": files}) as platform:
        record = one_record(platform)
        assert platform.compose.run("stop", "scrapers") == 0
        writer = FIRST_WRITER
        for case in CASES:
            arrange(platform, case)
            rates = []
            for number in range(ROUNDS + 1):
                writer += 1
                seconds = land(platform, record, writer, RECORDS if number else WARM_UP)
                if number:
                    rates.append(RECORDS / seconds)
            each = ", ".join(f"{rate:,.0f}" for rate in rates)
            print(f"  {case.name}: {each} a second", flush=True)
            median = statistics.median(rates)
            figures.append(Figure(case.name, median, "records/s", None, AIM, is_floor=True))
    return report(figures)


def topic() -> str:
    """The topic of the records."""
    return contracts()[DATASET].dataset.topic


def servers(platform: ComposePlatform) -> dict[str, str | int | float | bool]:
    """How a client on the host comes to the broker."""
    return {"bootstrap.servers": f"127.0.0.1:{platform.settings.kafka_port}"}


def one_record(platform: ComposePlatform) -> dict[str, object]:
    """A record that the platform polled, as it is in Kafka."""
    consumer = Consumer({**servers(platform), "group.id": "bench", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic()])
    try:
        message = wait_for(lambda: consumer.poll(1.0), PATIENCE_S, f"a record in {topic()}")
        assert message is not None
        assert message.error() is None, message.error()
        found: dict[str, object] = json.loads(message.value() or b"")
        return found
    finally:
        consumer.close()


def arrange(platform: ComposePlatform, case: Case) -> None:
    """Bring partitions, TaskManagers and the jobs' parallelism to what the case says."""
    admin = AdminClient(servers(platform))
    there = len(admin.list_topics(topic(), timeout=10).topics[topic()].partitions)
    if there < case.partitions:
        admin.create_partitions([NewPartitions(topic(), case.partitions)])[topic()].result()
    scale(platform, case.taskmanagers)
    platform.compose.set_variable("EMDATA_LANDING_PARALLELISM", str(case.parallelism))
    assert platform.compose.run("up", "--detach", "--no-deps", "flink-deploy") == 0
    wait_landing(platform, case.taskmanagers * case.parallelism, PATIENCE_S)


def land(platform: ComposePlatform, record: dict[str, object], writer: int, count: int) -> float:
    """Write copies of a record under ``writer``; returns the seconds until all have landed."""
    values = [
        (str(seq).encode(), json.dumps({**record, "writer": writer, "seq": seq}).encode())
        for seq in range(1, count + 1)
    ]
    producer = Producer({**servers(platform), "linger.ms": 20, "compression.type": "lz4"})
    began = time.monotonic()
    for key, value in values:
        while True:
            try:
                producer.produce(topic(), value, key)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(PATIENCE_S) == 0
    query = f"SELECT COUNT(*) AS n FROM raw_data.{DATASET} WHERE writer = {writer}"
    wait_for(
        lambda: platform.sql(query)[0]["n"] == count, PATIENCE_S, "records to land", interval=0.3
    )
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
