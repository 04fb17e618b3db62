"""What travels: the Kafka value, its key and its CloudEvents headers.

CloudEvents 1.0, Kafka protocol binding, binary content mode: attributes are ``ce_*`` headers,
the value is the data.
"""

from __future__ import annotations

import msgspec

from emdata.contracts.base import Priority

_ENCODER = msgspec.json.Encoder()


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """A record as the buffer keeps it, identity included.

    seq is dense per writer and dataset. accepted_at is a UTC text with microseconds.
    payload is the contract's fields as one JSON object.
    """

    dataset: str
    source: str
    stream: str
    topic: str
    writer: int
    seq: int
    accepted_at: str
    poll_id: str
    record_key: str
    record_version: str | None
    kafka_key: str
    key_hash: bytes
    content_hash: bytes
    priority: int
    is_simulated: bool
    payload: bytes

    @property
    def accepted_on(self) -> str:
        """The UTC day of acceptance as YYYY-MM-DD."""
        return self.accepted_at[:10]

    @property
    def event_id(self) -> str:
        """The CloudEvents id, unique for ever."""
        return f"{self.writer}-{self.dataset}-{self.seq}"


class Draft(msgspec.Struct, frozen=True, array_like=True):
    """A record at the door: all of ``Accepted`` but what acceptance gives (writer, seq, time)."""

    dataset: str
    source: str
    stream: str
    topic: str
    poll_id: str
    record_key: str
    record_version: str | None
    kafka_key: str
    key_hash: bytes
    content_hash: bytes
    priority: int
    is_simulated: bool
    payload: bytes

    def accept(self, *, writer: int, seq: int, accepted_at: str) -> Accepted:
        """Return the record with its identity."""
        return Accepted(
            self.dataset,
            self.source,
            self.stream,
            self.topic,
            writer,
            seq,
            accepted_at,
            self.poll_id,
            self.record_key,
            self.record_version,
            self.kafka_key,
            self.key_hash,
            self.content_hash,
            self.priority,
            self.is_simulated,
            self.payload,
        )


def kafka_value(record: Accepted) -> bytes:
    """Return the flat JSON object of one record: envelope columns, then the contract's fields."""
    head = _ENCODER.encode(
        {
            "accepted_on": record.accepted_on,
            "writer": record.writer,
            "seq": record.seq,
            "accepted_at": record.accepted_at,
            "poll_id": record.poll_id,
            "record_key": record.record_key,
            "record_version": record.record_version,
            "content_hash": record.content_hash.hex(),
            "priority": record.priority,
            "is_simulated": record.is_simulated,
        }
    )
    # Two JSON objects joined as bytes: the payload was encoded once, at the door.
    if record.payload == b"{}":
        return head
    return head[:-1] + b"," + record.payload[1:]


def kafka_headers(record: Accepted) -> list[tuple[str, bytes]]:
    """Return the CloudEvents headers of one record."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", record.event_id.encode()),
        ("ce_source", f"/emdata/writers/{record.writer}/{record.source}".encode()),
        ("ce_type", f"emdata.{record.dataset}".encode()),
        ("ce_time", f"{record.accepted_at}Z".encode()),
        ("content-type", b"application/json"),
        ("emdata_priority", Priority(record.priority).name.encode()),
        ("emdata_simulated", b"true" if record.is_simulated else b"false"),
    ]
