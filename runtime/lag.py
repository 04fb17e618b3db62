"""How far consumer groups are behind their topics."""

from __future__ import annotations

from dataclasses import dataclass

from emdata.errors import ServiceError
from emdata.settings import Settings
from emdata.transport.kafka import client_options

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Lag:
    """Records of a topic that a group has not committed yet."""

    group: str
    topic: str
    records: int


def consumer_lag(settings: Settings) -> list[Lag]:
    """The lag of every group and topic with committed offsets; raises ServiceError."""
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        OffsetSpec,
    )

    from stream_manager.control.committed import committed_offsets

    admin = AdminClient(client_options(settings.kafka, log_level=0))
    sums: dict[tuple[str, str], int] = {}
    try:
        listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
        topics = admin.list_topics(timeout=_TIMEOUT_S).topics
        places = [(name, number) for name, topic in topics.items() for number in topic.partitions]
        for group in (item.group_id for item in listed.valid):
            committed = committed_offsets(settings.kafka, group, places, _TIMEOUT_S)
            newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            asked = {TopicPartition(*place): newest for place in committed}
            ends = admin.list_offsets(asked) if asked else {}
            for partition, end in ends.items():
                key = (group, partition.topic)
                behind = end.result(_TIMEOUT_S).offset
                behind -= committed[partition.topic, partition.partition]
                sums[key] = sums.get(key, 0) + max(0, behind)
    except KafkaException as error:
        raise ServiceError(f"kafka: {error}") from error
    return [Lag(group, topic, records) for (group, topic), records in sorted(sums.items())]
