"""The controls of the same run: a plain Kafka producer (C) and a bare segment file (W)."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer
from msgspec.structs import replace

from emdata.envelope import Regions, kafka_headers, kafka_value
from tests.bench.stream.drafts import accepted
from tests.bench.stream.records import contract_of
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import count_messages, new_dataset, remove_dataset

BATCH = 500
PREPARED = 20_000
SEGMENT = 16 << 20
ANYWHERE = Regions(("ALL",))


def config(servers: str) -> dict[str, Any]:
    """What the manager's own producer says about delivery, and ample queues."""
    return {
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight.requests.per.connection": 5,
        "linger.ms": 5,
        "compression.type": "lz4",
        "message.max.bytes": 4 << 20,
        "log_level": 3,
    }


def produce(servers: str, dataset: str, seconds: float) -> dict[str, float]:
    """Send ready messages for ``seconds``; the rate counts until the last report."""
    ready = [
        (record.kafka_key.encode(), kafka_value(record), kafka_headers(record, ANYWHERE))
        for record in accepted(dataset, PREPARED)
    ]
    topic = contract_of(dataset).dataset.topic
    reports = [0]

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            raise SystemExit(f"control: {error}")
        reports[0] += 1

    producer = Producer(config(servers))
    producer.list_topics(topic, timeout=30)
    sent, began, cpu = 0, time.monotonic(), _cpu()
    while time.monotonic() < began + seconds:
        start = sent % PREPARED
        for key, value, headers in ready[start : start + BATCH - 1]:
            _send(producer, topic, key, value, headers)
        key, value, headers = ready[start + BATCH - 1]
        _send(producer, topic, key, value, headers, report)
        sent += BATCH
        producer.poll(0)
    producer.flush(60)
    if reports[0] * BATCH != sent:
        raise SystemExit(f"control: {reports[0]} of {sent // BATCH} batches reported")
    return {"sent": sent, "seconds": time.monotonic() - began, "cpu": _cpu() - cpu}


def produce_paced(servers: str, dataset: str, rate: float, seconds: float) -> dict[str, float]:
    """Send one message after the other as they fall due; each carries when that was."""
    (record,) = accepted(dataset, 1)
    headers, key = kafka_headers(record, ANYWHERE), record.kafka_key.encode()
    topic = contract_of(dataset).dataset.topic
    producer = Producer(config(servers))
    producer.list_topics(topic, timeout=30)
    step, began = int(1e9 / rate), time.time_ns()
    for number in range(int(rate * seconds)):
        due = began + number * step
        while time.time_ns() < due:
            producer.poll(min(0.001, max(0.0, (due - time.time_ns()) / 1e9)))
        given = replace(record, seq=number + 1, payload=_stamped(record.payload, due))
        _send(producer, topic, key, kafka_value(given), headers)
    producer.flush(60)
    return {"sent": int(rate * seconds)}


def _stamped(payload: bytes, due: int) -> bytes:
    return payload.replace(b'"offered_ns":0', b'"offered_ns":%d' % due, 1)


def _send(
    producer: Producer, topic: str, key: bytes, value: bytes, headers: Any, report: Any = None
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, headers=headers, on_delivery=report)
            return
        except BufferError:
            producer.poll(0.01)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def control(servers: Servers, dataset: str, *, seconds: float, **given: float) -> dict[str, float]:
    """Run the control in a process of its own: flat out, or paced with a ``rate``."""
    asked = {"servers": servers.kafka, "dataset": dataset, "seconds": seconds, **given}
    command = [sys.executable, "-m", "tests.bench.stream.control", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


class Rate(NamedTuple):
    """C: messages a second, counted at a consumer, and us of CPU a message."""

    a_second: float
    cpu_us: float


def control_rate(servers: Servers, seconds: float) -> Rate:
    """Run the control flat out."""
    dataset = new_dataset(servers)
    found = control(servers, dataset, seconds=seconds)
    if count_messages(servers, dataset) != found["sent"]:
        raise SystemExit("the control's messages are not all in Kafka")
    remove_dataset(servers, dataset)
    return Rate(found["sent"] / found["seconds"], found["cpu"] / found["sent"] * 1e6)


def segment_rate(folder: Path, count: int = 200_000, group: int = 250) -> float:
    """W: records a second into a bare file of segments, fdatasync per group."""
    data = [record.payload for record in accepted("bench_alerts", 5000)]
    groups = [b"".join(data[start : start + group]) for start in range(0, len(data), group)]
    path = folder / "bare.seg"
    began, written, fd, size = time.monotonic(), 0, -1, SEGMENT
    while written < count:
        chunk = groups[(written // group) % len(groups)]
        if size + len(chunk) > SEGMENT:
            if fd >= 0:
                os.close(fd)
            fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.posix_fallocate(fd, 0, SEGMENT)
            size = 0
        os.write(fd, chunk)
        os.fdatasync(fd)
        size += len(chunk)
        written += group
    seconds = time.monotonic() - began
    os.close(fd)
    path.unlink()
    return written / seconds


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(produce_paced(**asked) if "rate" in asked else produce(**asked)))
