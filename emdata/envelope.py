"""What travels: the Kafka value, its key and its CloudEvents headers.

CloudEvents 1.0, Kafka protocol binding, binary content mode: attributes are ``ce_*`` headers,
the value is the data.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from emdata.contracts.base import Priority

_ENCODER = msgspec.json.Encoder()
_PRIORITIES = tuple(priority.name.encode() for priority in Priority)
RELEVANCE = "emdata_region_relevance"
EMPTY = len(b"{}")
PUBLIC = "public"  # the tenant of everything that belongs to nobody in particular

Headers = list[tuple[str, bytes]]


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """A record as the buffer keeps it, identity included.

    seq is dense per writer and dataset. accepted_at is a UTC text with microseconds.
    payload is the contract's fields as one JSON object. region is a two-letter state or None.
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
    tenant: str = PUBLIC
    region: str | None = None

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
    tenant: str = PUBLIC
    region: str | None = None


class Stencil:
    """Values and headers of records of one writer, dataset, poll, acceptance and priority.

    What they share is encoded once; a record adds what is its own.
    """

    __slots__ = ("_after", "_before", "_between", "_event", "_headers", "_priority")

    def __init__(
        self,
        *,
        dataset: str,
        source: str,
        writer: int,
        accepted_at: str,
        poll_id: str,
        priority: int,
        is_simulated: bool,
    ) -> None:
        simulated = b"true" if is_simulated else b"false"
        at = accepted_at.encode()
        self._before = b'{"accepted_on":"%b","writer":%d,"seq":' % (at[:10], writer)
        self._between = b',"accepted_at":"%b","poll_id":%b,"record_key":' % (
            at,
            _ENCODER.encode(poll_id),
        )
        self._after = b'","priority":%d,"is_simulated":%b,' % (priority, simulated)
        self._event = f"{writer}-{dataset}-".encode()
        self._priority = ("emdata_priority", _PRIORITIES[priority])
        self._headers: Headers = [
            ("ce_specversion", b"1.0"),
            ("ce_source", f"/emdata/writers/{writer}/{source}".encode()),
            ("ce_type", f"emdata.{dataset}".encode()),
            ("ce_time", at + b"Z"),
            ("content-type", b"application/json"),
            ("emdata_simulated", simulated),
        ]

    def value(
        self,
        seq: int,
        record_key: str,
        record_version: str | None,
        hash_hex: bytes,
        payload: bytes | memoryview,
    ) -> bytes:
        """Return the flat JSON object: envelope columns in the table's order, then the fields.

        hash_hex: the content hash in hexadecimal digits.
        """
        after = self._after
        # Two JSON objects joined as bytes: the payload was encoded once, at the door.
        return b"".join(
            (
                self._before,
                b"%d" % seq,
                self._between,
                _ENCODER.encode(record_key),
                b',"record_version":',
                b"null" if record_version is None else _ENCODER.encode(record_version),
                b',"content_hash":"',
                hash_hex,
                after if len(payload) > EMPTY else after[:-1],
                payload[1:],
            )
        )

    def headers(self, seq: int, region: Headers) -> Headers:
        """Return the CloudEvents headers, the priority's, and the region's as they are given."""
        return [("ce_id", b"%b%d" % (self._event, seq)), self._priority, *region, *self._headers]


class Regions:
    """Headers that say which state a record is about, and whether it is one of ours.

    ``emdata_region``: the two-letter state. ``emdata_region_relevance``: home for the states that
    the platform is set up for (``ALL``: every one), other for the rest. None without a state.
    """

    def __init__(self, home: Iterable[str]) -> None:
        self._home = frozenset(home)
        self._known: dict[str | None, Headers] = {None: []}

    def headers(self, region: str | None) -> Headers:
        """Return the headers of one region."""
        found = self._known.get(region)
        if found is None and region is not None:
            is_home = region in self._home or "ALL" in self._home
            found = [
                ("emdata_region", region.encode()),
                (RELEVANCE, b"home" if is_home else b"other"),
            ]
            self._known = {**self._known, region: found} if len(self._known) < 200 else self._known
        return found or []


def kafka_value(record: Accepted) -> bytes:
    """Return the flat JSON object of one record."""
    return _stencil(record).value(
        record.seq,
        record.record_key,
        record.record_version,
        record.content_hash.hex().encode(),
        record.payload,
    )


def kafka_headers(record: Accepted, regions: Regions | None = None) -> Headers:
    """Return the CloudEvents headers of one record, and the region's where ``regions`` is given."""
    region = [] if regions is None else regions.headers(record.region)
    return _stencil(record).headers(record.seq, region)


def _stencil(record: Accepted) -> Stencil:
    return Stencil(
        dataset=record.dataset,
        source=record.source,
        writer=record.writer,
        accepted_at=record.accepted_at,
        poll_id=record.poll_id,
        priority=record.priority,
        is_simulated=record.is_simulated,
    )
