"""The controls of the same run: a plain Kafka producer (C) and a bare segment file (W)."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from emdata.envelope import Accepted, kafka_headers, kafka_value
from tests.bench.stream.records import contract_of, rows
from tests.bench.stream.servers import Servers

BATCH = 500
PREPARED = 20_000
SEGMENT = 16 << 20


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
    }


def accepted(dataset: str, count: int = PREPARED) -> list[Accepted]:
    """Records as the manager's buffer holds them."""
    record = contract_of(dataset)
    decode = msgspec.json.Decoder(record).decode
    return [_accepted(decode(raw), seq) for seq, raw in enumerate(rows(range(count)), start=1)]


def _accepted(record: Any, seq: int) -> Accepted:
    fields = {
        "dataset": record.dataset.name,
        "source": "bench",
        "stream": "bench",
        "topic": record.dataset.topic,
        "writer": 1,
        "seq": seq,
        "accepted_at": "2026-11-21T09:14:10.123456",
        "poll_id": "20261121T091410-bench-0123456789ab",
        "record_key": record.record_key(),
        "record_version": record.version_text(),
        "kafka_key": record.kafka_key(),
        "key_hash": record.key_hash(),
        "content_hash": record.content_hash(),
        "priority": int(record.priority()),
        "is_simulated": True,
        "payload": record.payload(),
    }
    return Accepted(**fields)


def produce(servers: str, dataset: str, seconds: float) -> dict[str, float]:
    """Send ready messages for ``seconds``; the rate counts until the last report."""
    ready = [
        (record.kafka_key.encode(), kafka_value(record), kafka_headers(record))
        for record in accepted(dataset)
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


def control_rate(servers: Servers, dataset: str, seconds: float) -> dict[str, float]:
    """Run the control in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.stream.control"]
    given = json.dumps({"servers": servers.kafka, "dataset": dataset, "seconds": seconds})
    done = subprocess.run([*command, given], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


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
    print(json.dumps(produce(**json.loads(sys.argv[1]))))
