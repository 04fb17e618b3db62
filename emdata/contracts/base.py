"""What a contract is made of: ``Record``, ``Dataset`` and the field types that may stand in one.

A contract is one module in this package with one or more ``Record`` classes, each with a
``dataset``. Everything downstream (topic, StarRocks table, Flink SQL, dbt staging, docs) is
derived from it by ``emdata.derive``. Standard library, msgspec and xxhash only.
"""

from __future__ import annotations

import math
import operator
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import astuple

from emdata.contracts.identity import hash_of, key_part, key_text, short_hash, sortable
from emdata.errors import ContractError


class Priority(IntEnum):
    """Delivery priority of a record; a lower number is more urgent."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass(frozen=True, slots=True)
class Doc:
    """What a field means, for dictionaries and column comments; ``unit`` is UCUM-like text.

    is_sensitive: the open API shows it to the classes of organizations only that may see it.
    """

    text: str
    unit: str | None = None
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Json:
    """Marks a ``str`` field that holds JSON text (kept as JSON in StarRocks)."""


@dataclass(frozen=True, slots=True)
class Text:
    """Marks a ``str`` field that may be long (up to 1 MiB) instead of at most 256 characters."""

    max_length: int = 1_048_576


A = Annotated
UtcDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant; aware, normalized to UTC by ``Record``."""
GeoJsonText = Annotated[str, Json(), Doc("GeoJSON geometry as text, WGS 84, longitude first")]
JsonText = Annotated[str, Json()]
LongText = Annotated[str, Text()]

SHORT_TEXT_LENGTH = 256
_DURATION = re.compile(r"^(\d+)(s|min|h|d)$")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def duration(text: str) -> timedelta:
    """Read a duration such as ``30s``, ``20min``, ``26h`` or ``8d``.

    Raises ContractError for anything else.
    """
    match = _DURATION.match(text)
    if match is None:
        raise ContractError("duration", value=text, allowed="a number with s, min, h or d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class Submitted:
    """How organizations submit records of a dataset by the open API; fields by their names.

    made: the field of the key that the API fills where the sender gives none. received: the
    instant of receipt, which the API sets. reporter: the field that must name the sender, or a
    tenant of the sender.
    """

    made: str
    received: str
    reporter: str


@dataclass(frozen=True)
class Dataset:
    """One kind of record: its name, identity and promises.

    name: ``<source>_<entity>``, the raw table's name. source: the upstream's short name.
    domain: disaster, weather, agriculture, drought, wildfire, ...
    key: fields that identify the entity for ever. version: the field that orders versions of one
    key (None: versions are ordered by arrival). unhashed: fields left out of the content hash.
    event_time: the field that says when it happened. fresh_within: how long after the newest
    event or refresh the dataset counts as fresh. terms: licence or terms of use.
    full_snapshot: a complete pull lists every living key. periodic: new events are due all the
    time, so that silence beyond fresh_within is upstream's fault (stale) and not merely quiet.
    region: the field that holds a two-letter state, for the message's region headers.
    tenant: whom the whole dataset belongs to in the open API (None: everybody). tenant_column: the
    field, a part of the key, that names whom a row belongs to ("public": everybody).
    submitted: how its records are submitted by the open API; None: they are not.
    """

    name: str
    source: str
    domain: str
    title: str
    key: tuple[str, ...]
    event_time: str
    fresh_within: str
    terms: str
    version: str | None = None
    unhashed: tuple[str, ...] = ()
    full_snapshot: bool = False
    periodic: bool = False
    approved_critical: bool = False
    landing_group: str = "bulk"
    region: str | None = None
    description: str = ""
    topic_name: str = ""
    tenant: str | None = None
    tenant_column: str | None = None
    submitted: Submitted | None = None

    @cached_property
    def entity(self) -> str:
        """The name without its source, such as ``disaster_declarations``."""
        return self.name.removeprefix(self.source + "_")

    @cached_property
    def topic(self) -> str:
        """Kafka topic ``<domain>-<source>-<dataset>``, such as ``disaster-fema-declarations``.

        ``topic_name`` replaces it where a source's data have one well-known name.
        """
        if self.topic_name:
            return self.topic_name
        short = self.entity.removeprefix(self.domain + "_").replace("_", "-")
        return f"{self.domain}-{self.source}-{short}"

    @cached_property
    def staging(self) -> str:
        """dbt staging model, such as ``stg_fema__disaster_declarations``."""
        return f"stg_{self.source}__{self.entity}"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract, as the derivations read it.

    base is one of str, int, float, bool, date, datetime; kind refines str: "text", "json", "".
    """

    name: str
    base: type
    nullable: bool
    doc: str
    unit: str | None
    kind: str = ""
    max_length: int = SHORT_TEXT_LENGTH
    is_sensitive: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every contract. Subclasses are frozen, keyword-only structs with a ``dataset``.

    Instants are normalized to UTC on construction. NaN and infinities are refused.
    Raises ContractError on construction when a value cannot be stored.
    """

    dataset: ClassVar[Dataset]

    def __post_init__(self) -> None:
        shape = shape_of(type(self))
        for name in shape.instants:
            value = getattr(self, name)
            if value is None or value.tzinfo is UTC:
                continue
            if value.tzinfo is None:
                raise ContractError(
                    f"{self.dataset.name}.{name}",
                    value=value,
                    allowed="an aware datetime",
                )
            msgspec.structs.force_setattr(self, name, value.astimezone(UTC))
        for name in shape.floats:
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ContractError(
                    f"{self.dataset.name}.{name}",
                    value=value,
                    allowed="a finite number",
                )

    def priority(self) -> Priority:
        """Return the delivery priority; LOW unless a contract says otherwise."""
        return Priority.LOW

    def record_key(self) -> str:
        """Return the key fields joined by ``|`` (``\\`` and ``|`` in values escaped)."""
        return key_text([getattr(self, name) for name in self.dataset.key])

    def kafka_key(self) -> str:
        """Return the Kafka key: the entity's key, so that versions stay in order."""
        return self.record_key()

    def region_code(self) -> str | None:
        """Return the two-letter state that the record is about; None without one."""
        name = self.dataset.region
        return None if name is None else getattr(self, name)

    def version_text(self) -> str | None:
        """Return the version in a form that sorts as text, or None when undeclared."""
        name = self.dataset.version
        return None if name is None else sortable(getattr(self, name))

    def key_hash(self) -> bytes:
        """Return 16 bytes of SHA-256 over the key."""
        return short_hash(self.record_key().encode())

    def content_hash(self) -> bytes:
        """Return 128 bits of XXH3 over the JSON of all hashed fields, in their order."""
        return self.encoded().content_hash

    def payload(self) -> bytes:
        """Return the contract's fields as one JSON object, instants as UTC without an offset."""
        return self.encoded().payload

    def encoded(self) -> Encoded:
        """Return the record in every form that travels, each made once."""
        encoder = RecordEncoder(type(self))
        key, version, content_hash, _ = encoder.encode(self)
        return Encoded(key, version, bytes(encoder.payload), content_hash)


class Encoded(msgspec.Struct, gc=False):
    """What is made of a record's values."""

    key: str
    version: str | None
    payload: bytes
    content_hash: bytes


class RecordEncoder:
    """Encodes records of one contract, one after the other; belongs to one thread.

    payload: the JSON of the record before, in memory that the next one takes. values: its values
    in declaration order, with instants as texts.
    """

    __slots__ = ("_shape", "payload", "values")

    def __init__(self, record: type[Record]) -> None:
        self._shape = shape_of(record)
        self.payload = bytearray()
        self.values: list[Any] = []

    def encode(self, record: Record) -> tuple[str, str | None, bytes, Any]:
        """Fill ``payload`` and ``values``; return key, version, content hash and event time.

        The event time is an instant as text, a date, or None.
        """
        shape, payload = self._shape, self.payload
        values = self.values = [*astuple(record)]
        for place in shape.places:
            value = values[place]
            if value is not None:
                known = _to_json(value)
                values[place] = _TEXTS.get(known) or _remember(known, value)
        plain = shape.plain
        _JSON.encode_into(record if plain is None else plain(*values), payload)
        if shape.hashed is None:
            content_hash = hash_of(payload)
        else:
            content_hash = hash_of(_to_json(shape.hashed(*[values[at] for at in shape.kept])))
        key = shape.key(values) if shape.is_keyed_by_fields else record.record_key()
        version = shape.version(values) if shape.is_versioned_by_field else record.version_text()
        return key, version, content_hash, values[shape.event] if shape.event >= 0 else None


class Shape:
    """What checking and encoding the records of a contract needs, found once per class.

    plain: a struct of the same fields whose instants are texts, None without instants. hashed: one
    of the hashed fields only, None when all are hashed; kept are their positions.
    is_keyed_by_fields, is_versioned_by_field: the contract does not make its own. event: the
    position of the event time, -1 when that is neither an instant nor a day.
    """

    __slots__ = (
        "event",
        "floats",
        "hashed",
        "instants",
        "is_keyed_by_fields",
        "is_versioned_by_field",
        "kept",
        "keys",
        "places",
        "plain",
        "version_place",
    )

    def __init__(self, record: type[Record]) -> None:
        names = record.__struct_fields__
        fields = fields_of(record)
        self.instants = tuple(field.name for field in fields if field.base is datetime)
        self.floats = tuple(field.name for field in fields if field.base is float)
        self.places = tuple(i for i, field in enumerate(fields) if field.base is datetime)
        self.plain = _struct_of(names) if self.instants else None
        self.kept = tuple(i for i, name in enumerate(names) if name not in record.dataset.unhashed)
        dataset = record.dataset
        self.event = names.index(dataset.event_time)
        if fields[self.event].base not in (datetime, date):
            self.event = -1
        self.keys = tuple(names.index(name) for name in dataset.key)
        self.version_place = None if dataset.version is None else names.index(dataset.version)
        self.is_keyed_by_fields = record.record_key is Record.record_key
        self.is_versioned_by_field = record.version_text is Record.version_text
        whole = len(self.kept) == len(names)
        self.hashed = None if whole else _struct_of([names[index] for index in self.kept])

    def key(self, values: list[Any]) -> str:
        """Return the key of a record with these values."""
        if len(self.keys) == 1:
            return key_part(values[self.keys[0]])
        return key_text([values[place] for place in self.keys])

    def version(self, values: list[Any]) -> str | None:
        """Return the version of a record with these values."""
        return None if self.version_place is None else sortable(values[self.version_place])


_JSON = msgspec.json.Encoder()
_to_json = _JSON.encode
_TEXTS: dict[bytes, str] = {}
_TEXTS_KEPT = 4096
_WHOLE_SECOND = len("2026-11-21T09:14:10")


def _remember(known: bytes, value: datetime) -> str:
    """As ``utc_text``, four times as fast, and remembered: a feed's records share most instants.

    They are known by their JSON, which is made faster than the hash of an instant.
    """
    if len(_TEXTS) >= _TEXTS_KEPT:
        _TEXTS.clear()
    text = str(_to_json(value.astimezone(UTC))[1:-2], "ascii")
    if len(text) == _WHOLE_SECOND:
        text += ".000000"
    _TEXTS[known] = text
    return text


def _struct_of(names: Sequence[str]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Plain", [(name, Any) for name in names])


@cache
def shape_of(record: type[Record]) -> Shape:
    return Shape(record)


@cache
def json_decoder(record: type[Record]) -> msgspec.json.Decoder[Record]:
    """Return a decoder that leaves out what JSON cannot break.

    JSON has neither NaN nor naive instants where the contract asks for aware ones, so the checks
    of construction are left out, unless a contract has its own, and instants keep their offset
    until they are encoded. Its records are of a subclass of the contract. It raises
    msgspec.MsgspecError, and ContractError where a contract's own check does.
    """
    if record.__post_init__ is not Record.__post_init__:
        return msgspec.json.Decoder(record)
    # A function of Python's own that does nothing with a record: it costs a third of one of ours.
    unchecked = {"__post_init__": operator.truth}
    return msgspec.json.Decoder(type(record.__name__, (record,), unchecked))


@cache
def fields_of(record: type[Record]) -> tuple[Field, ...]:
    """Return the contract's fields in declaration order.

    Raises ContractError for a type that the type table does not know.
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(_field(record, name, hints[name]) for name in record.__struct_fields__)


_BASES = (bool, int, float, str, datetime, date)


def _field(record: type[Record], name: str, hint: Any) -> Field:
    nullable, marks = False, []
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *extra = get_args(hint)
            marks.extend(extra)
        elif origin in (typing.Union, types.UnionType):
            inner = [arg for arg in get_args(hint) if arg is not type(None)]
            nullable = nullable or len(inner) < len(get_args(hint))
            if len(inner) != 1:
                break
            hint = inner[0]
        else:
            break
    if hint not in _BASES:
        raise ContractError(
            f"{record.__name__}.{name}",
            value=hint,
            allowed="str, int, float, bool, date, UtcDatetime, optional or annotated",
        )
    docs = [mark for mark in marks if isinstance(mark, Doc)]
    doc = docs[0] if docs else Doc("")
    text = next((mark for mark in marks if isinstance(mark, Text)), None)
    kind = "json" if any(isinstance(mark, Json) for mark in marks) else "text" if text else ""
    length = text.max_length if text else SHORT_TEXT_LENGTH
    return Field(name, hint, nullable, doc.text, doc.unit, kind, length, doc.is_sensitive)
