"""Sending a record that Kafka once refused, under the identity that it has had all along."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from emdata.contracts.base import Record
from emdata.contracts.identity import utc_text
from emdata.envelope import Accepted, Headers, kafka_headers, kafka_value
from emdata.state.clients import FIRST_CLIENT
from emdata.state.dead_letters import Letter
from emdata.transport.kafka import KafkaAddress, client_options
from stream_manager.clients.clients import HEADERS as DEGRADED
from stream_manager.dead_letters.reparse import record_of
from stream_manager.delivery.producers import (
    MAX_MESSAGE_BYTES,
    broker_answers,
    error_of,
    is_refused_for_good,
)

DELIVERED, REFUSED, UNCONFIRMED = "redriven", "rejected", "unconfirmed"
SEND_SECONDS, ASK_SECONDS = 15.0, 10.0
# What of a topic's settings decides whether a message is taken.
DECIDING = (
    "max.message.bytes",
    "cleanup.policy",
    "message.timestamp.type",
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
)


class Redelivery:
    """Blocking; belongs to one thread at a time. ``kafka`` is where they go."""

    def __init__(self, kafka: KafkaAddress) -> None:
        self._kafka = kafka

    def settings_of(self, topic: str) -> dict[str, str] | None:
        """Return the settings of a topic that decide; None while Kafka does not say."""
        if not broker_answers(self._kafka):
            return None
        admin = AdminClient(client_options(self._kafka, log_level=0))
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            (future,) = admin.describe_configs([resource], request_timeout=ASK_SECONDS).values()
            found: Mapping[str, Any] = future.result(timeout=ASK_SECONDS)
        except (KafkaException, TimeoutError):
            return None
        return {name: str(found[name].value) for name in DECIDING if name in found}

    def send(self, records: list[Accepted]) -> list[tuple[str, str]]:
        """Send records once; returns (outcome, reason) for each, in order.

        ``unconfirmed`` may have arrived or not: it is sent again later, harmlessly, because
        the table's key is the record's identity.
        """
        if not broker_answers(self._kafka):
            return [(UNCONFIRMED, "no broker answers")] * len(records)
        outcomes = [(UNCONFIRMED, f"no report within {SEND_SECONDS:.0f} s")] * len(records)

        def report(index: int, error: KafkaError | None, _message: Message) -> None:
            outcomes[index] = _outcome(error)

        producer = Producer(
            {
                **client_options(self._kafka),
                "client.id": "emdata-redrive",
                "enable.idempotence": True,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "message.timeout.ms": int(SEND_SECONDS * 1000),
                # The broker refuses a whole batch for one bad message.
                "batch.num.messages": 1,
                "compression.type": "lz4",
                "log_level": 3,
            }
        )
        for index, record in enumerate(records):
            try:
                producer.produce(
                    record.topic,
                    key=record.kafka_key.encode(),
                    value=kafka_value(record),
                    headers=_headers(record),  # type: ignore[arg-type]
                    on_delivery=partial(report, index),
                )
            except KafkaException as error:
                outcomes[index] = _outcome(error_of(error))
            except BufferError as error:
                outcomes[index] = (UNCONFIRMED, str(error))
            producer.poll(0)
        producer.flush(SEND_SECONDS)
        return outcomes


def accepted_of(letter: Letter, record: type[Record], *, is_simulated: bool) -> Accepted:
    """Rebuild an accepted record from its dead letter.

    It never landed, so its time of acceptance, which is part of the table's key, may be the time
    of its death: what matters is that every re-drive gives the same. Raises ContractError or
    msgspec.MsgspecError when today's contract refuses its fields, ValueError when it has no number.
    """
    value = record_of(record, letter.payload)
    if letter.seq is None:
        raise ValueError(f"dead letter {letter.id} has no sequence number")
    return Accepted(
        dataset=record.dataset.name,
        source=letter.source or record.dataset.source,
        stream=letter.stream,
        topic=record.dataset.topic,
        writer=letter.writer,
        seq=letter.seq,
        accepted_at=utc_text(letter.first_at),
        poll_id=letter.poll_id,
        record_key=value.record_key(),
        record_version=value.version_text(),
        kafka_key=value.kafka_key(),
        key_hash=value.key_hash(),
        content_hash=value.content_hash(),
        priority=int(value.priority()),
        is_simulated=is_simulated,
        payload=letter.payload,
    )


def _headers(record: Accepted) -> Headers:
    """The headers that the record's writer gives all its messages."""
    own = DEGRADED if record.writer >= FIRST_CLIENT else []
    return [*kafka_headers(record), *own]


def _outcome(error: KafkaError | None) -> tuple[str, str]:
    if error is None:
        return DELIVERED, "delivered under its own identity"
    said = f"{error.name()}: {error.str()}"
    return (REFUSED if is_refused_for_good(error) else UNCONFIRMED), said
