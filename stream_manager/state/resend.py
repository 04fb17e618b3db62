"""Sending again what Kafka has and the table lacks, such as after a table was restored."""

from __future__ import annotations

import uuid
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from emdata.contracts.base import Record
from emdata.errors import TransientError
from emdata.telemetry import get_logger
from emdata.transport.kafka import KafkaAddress, client_options
from stream_manager.delivery.producers import MAX_MESSAGE_BYTES

log = get_logger(__name__)
TIMEOUT = 10.0


class KafkaUnavailable(TransientError):
    """Kafka did not do what was asked; it may later."""

    code = "kafka_unavailable"


def resend_from_topic(
    kafka: KafkaAddress, record: type[Record], writer: int, seqs: list[int]
) -> int:
    """Read a topic from its start and produce the named records once more; returns how many.

    The table's key makes a second arrival harmless. What the topic no longer holds is logged.
    Raises KafkaUnavailable when the broker does not answer or has no such topic.
    """
    wanted: dict[str | bytes | None, int] = {
        f"{writer}-{record.dataset.name}-{seq}".encode(): seq for seq in seqs
    }
    producer = Producer(
        {
            **client_options(kafka),
            "enable.idempotence": True,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "compression.type": "lz4",  # as when they were sent first
        }
    )
    consumer = Consumer(
        {
            **client_options(kafka),
            "group.id": f"emdata-resend-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    refused: list[str] = []
    try:
        found = _scan(consumer, producer, record.dataset.topic, wanted, refused)
        late = producer.flush(TIMEOUT)
    except (KafkaException, BufferError) as error:
        raise KafkaUnavailable(f"topic {record.dataset.topic}: {error}") from error
    finally:
        consumer.close()
    if late or refused:
        raise KafkaUnavailable(
            f"topic {record.dataset.topic}: {late} records not confirmed, refused: {refused[:5]}"
        )
    if wanted:
        log.error(
            "records_not_in_topic", topic=record.dataset.topic, seqs=sorted(wanted.values())[:100]
        )
    return found


def _scan(
    consumer: Consumer,
    producer: Producer,
    topic: str,
    wanted: dict[str | bytes | None, int],
    refused: list[str],
) -> int:
    described = consumer.list_topics(topic, timeout=TIMEOUT).topics.get(topic)
    if described is None or described.error is not None:
        raise KafkaUnavailable(f"topic {topic} does not exist")
    partitions = described.partitions
    found = 0
    for number in partitions:
        place = TopicPartition(topic, number)
        first, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
        consumer.assign([TopicPartition(topic, number, first)])
        position = first
        while position < end and wanted:
            message = consumer.poll(TIMEOUT)
            if message is None or message.error():
                break
            position = (message.offset() or 0) + 1
            if wanted.pop(_event_id(message), None) is not None:
                producer.produce(
                    topic,
                    key=message.key(),
                    value=message.value(),
                    headers=_headers(message),
                    on_delivery=partial(_note_refusal, refused),
                )
                found += 1
    return found


def _note_refusal(refused: list[str], error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        refused.append(error.name())


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    pairs = message.headers() or []
    return [(pair[0], pair[1]) for pair in pairs if isinstance(pair[1], bytes)]


def _event_id(message: Message) -> str | bytes | None:
    return dict(_headers(message)).get("ce_id")
