"""Contract -> Kafka topic and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emdata.contracts.base import Record

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic to create: name, partitions, replication and broker settings."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def topic_specs(
    records: Iterable[type[Record]],
    *,
    partitions: int,
    retention_hours: int,
    window_retention_days: int,
    windowed: frozenset[str],
    replication: int = 1,
) -> list[TopicSpec]:
    """Return one topic per contract; topics that windows read outlive the windows' state.

    ``windowed`` holds dataset names. ``max.message.bytes`` is 4 MiB, because a single alert with
    its texts and polygon can pass Kafka's default of 1 MiB.
    """
    specs = []
    for record in records:
        dataset = record.dataset
        keep = window_retention_days * 24 if dataset.name in windowed else retention_hours
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(max(keep, retention_hours) * HOUR_MS),
            "max.message.bytes": str(4 * 1024 * 1024),
            "min.insync.replicas": "1" if replication == 1 else "2",
        }
        specs.append(TopicSpec(dataset.topic, partitions, replication, config))
    return specs
