"""How far a consumer group of Flink's is, measured against the topics' ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emdata.errors import TransientError
from emdata.telemetry import get_logger
from emdata.transport.kafka import KafkaAddress, client_options, servers_of

log = get_logger(__name__)
_TIMEOUT_S = 10.0


class KafkaUnavailable(TransientError):
    """Kafka did not answer in time."""

    code = "kafka_unavailable"


class Offsets:
    """Reads positions without joining a group, so that Flink's own readers are not disturbed."""

    def __init__(self, kafka: KafkaAddress) -> None:
        self._kafka, self._servers = kafka, servers_of(kafka)

    def missing(self, topics: Iterable[str]) -> list[str]:
        """Return those of the topics that do not exist."""
        from confluent_kafka import KafkaException

        consumer = self._consumer("emdata-offsets")
        try:
            existing = consumer.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise KafkaUnavailable(f"Kafka at {self._servers}: {error}") from error
        finally:
            consumer.close()
        return [topic for topic in topics if topic not in existing]

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """Return the end offset of every partition that holds anything."""
        return {
            place: high for place, (low, high) in self._watermarks(topics).items() if high > low
        }

    def committed(self, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """Return the committed offset of every partition the group has committed."""
        from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

        places = [TopicPartition(*place) for place in self._watermarks(topics)]
        consumer = self._consumer(group)
        try:
            answer = consumer.committed(places, timeout=_TIMEOUT_S) if places else []
        except KafkaException as error:
            raise KafkaUnavailable(f"Kafka at {self._servers}: {error}") from error
        finally:
            consumer.close()
        return {(p.topic, p.partition): p.offset for p in answer if p.offset != OFFSET_INVALID}

    def forget(self, groups: Iterable[str]) -> None:
        """Delete consumer groups that nothing uses any more, so that they show no growing lag."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        admin = AdminClient(client_options(self._kafka, log_level=0))
        for group, future in admin.delete_consumer_groups(
            list(groups), request_timeout=_TIMEOUT_S
        ).items():
            try:
                future.result(timeout=_TIMEOUT_S)
            except KafkaException as error:
                log.info("consumer_group_kept", group=group, reason=str(error))

    def _watermarks(self, topics: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
        from confluent_kafka import KafkaException, TopicPartition

        consumer = self._consumer("emdata-offsets")
        found: dict[tuple[str, int], tuple[int, int]] = {}
        try:
            for topic in topics:
                partitions = (
                    consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
                )
                for partition in partitions:
                    place = TopicPartition(topic, partition)
                    found[topic, partition] = consumer.get_watermark_offsets(
                        place, timeout=_TIMEOUT_S
                    )
        except KafkaException as error:
            raise KafkaUnavailable(f"Kafka at {self._servers}: {error}") from error
        finally:
            consumer.close()
        return found

    def _consumer(self, group: str) -> Any:
        from confluent_kafka import Consumer

        return Consumer(
            {
                **client_options(self._kafka),
                "group.id": group,
                "enable.auto.commit": False,
                "socket.timeout.ms": int(_TIMEOUT_S * 1000),
                "log_level": 0,
            }
        )


def remaining(target: dict[tuple[str, int], int], reached: dict[tuple[str, int], int]) -> int:
    """Return how many offsets up to ``target`` are not committed yet."""
    return sum(max(0, end - reached.get(place, 0)) for place, end in target.items())
