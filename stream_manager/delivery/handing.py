"""Handing the records of a block to a Kafka producer, message by message."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException

from emdata.contracts.identity import HASH_BYTES
from emdata.envelope import Regions
from stream_manager.buffer import Block
from stream_manager.delivery.producers import RecordProducer, Report, error_of

HEX = 2 * HASH_BYTES


def hand_over(
    producer: RecordProducer,
    block: Block,
    positions: Sequence[int],
    priority: int,
    regions: Regions,
    report: Report,
) -> tuple[int, KafkaError | None]:
    """Produce records in order, each with ``report`` as its callback.

    Returns how many were taken, and why the next one was not: None when there was no room for it.
    """
    head, columns = block.head, block.columns
    keys = columns.kafka_keys or columns.record_keys
    versions, states, view = columns.versions, columns.regions, columns.view
    hashes = columns.content_hashes.hex().encode()
    topic, first_seq, produce = head.topic, head.first_seq, producer.produce
    stencil, of_state = block.stencil(priority), regions.headers
    unknown = of_state(None)
    handed = 0
    try:
        for at in positions:
            seq = first_seq + at
            produce(
                topic,
                stencil.value(
                    seq,
                    columns.record_keys[at],
                    None if versions is None else versions[at],
                    hashes[at * HEX : (at + 1) * HEX],
                    view(at),
                ),
                keys[at],
                stencil.headers(seq, unknown if states is None else of_state(states[at])),
                report,
            )
            handed += 1
    except BufferError:
        return handed, None
    except KafkaException as exception:
        return handed, error_of(exception)
    return handed, None
