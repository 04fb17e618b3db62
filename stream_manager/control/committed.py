"""What a consumer group has committed, asked without joining it."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from emdata.transport.kafka import KafkaAddress, client_options

Place = tuple[str, int]
"""Topic and partition."""


def committed_offsets(
    kafka: KafkaAddress, group: str, places: Iterable[Place], timeout_s: float
) -> dict[Place, int]:
    """Return the next offset that a group will read, where it has committed one.

    A consumer that never subscribes is no member. The admin client's question for a group ends the
    whole process when its coordinator is not there yet (librdkafka issue 5040).
    Raises KafkaException.
    """
    consumer = Consumer(
        {
            **client_options(kafka),
            "group.id": group,
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
    )
    try:
        asked = [TopicPartition(topic, number) for topic, number in places]
        found = consumer.committed(asked, timeout=timeout_s) if asked else []
    finally:
        consumer.close()
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}
