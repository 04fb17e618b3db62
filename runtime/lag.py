"""How far consumer groups are behind their topics."""

from __future__ import annotations

from dataclasses import dataclass

from emdata.errors import ServiceError
from emdata.settings import Settings

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Lag:
    """Records of a topic that a group has not committed yet."""

    group: str
    topic: str
    records: int


def consumer_lag(settings: Settings) -> list[Lag]:
    """The lag of every group and topic with committed offsets; raises ServiceError."""
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        OffsetSpec,
    )

    admin = AdminClient({"bootstrap.servers": settings.kafka_servers, "log_level": 0})
    sums: dict[tuple[str, str], int] = {}
    try:
        listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
        for group in (item.group_id for item in listed.valid):
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
            committed = [
                partition
                for partition in asked[group].result(_TIMEOUT_S).topic_partitions
                if partition.offset >= 0
            ]
            newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            ends = admin.list_offsets(dict.fromkeys(committed, newest))
            latest = {(p.topic, p.partition): f.result(_TIMEOUT_S).offset for p, f in ends.items()}
            for partition in committed:
                end = latest[(partition.topic, partition.partition)]
                key = (group, partition.topic)
                sums[key] = sums.get(key, 0) + max(0, end - partition.offset)
    except KafkaException as error:
        raise ServiceError(f"kafka: {error}") from error
    return [Lag(group, topic, records) for (group, topic), records in sorted(sums.items())]
