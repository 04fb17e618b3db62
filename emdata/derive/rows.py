"""Rows that arrive as JSON of a contract's fields, encoded without making records of them.

A row differs from what travels only in its instants and its spelling, so it is read into a class
that keeps instants as texts, and encoded from there. A record has to be made only where a row is
wrong, and then its own checks say why.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, cast, get_args, get_type_hints

import msgspec

from emdata.contracts.base import Field, Record, UtcDatetime, fields_of, shape_of
from emdata.contracts.identity import hash_of, key_part, key_text, sortable, utc_text
from emdata.derive.limits import MAX_BIGINT
from emdata.derive.types import TEXT_LENGTH_FACTOR, text_bytes

_JSON = msgspec.json.Encoder()
_INTEGER = msgspec.Meta(ge=-MAX_BIGINT - 1, le=MAX_BIGINT)
_TEXTS: dict[str, str] = {}
_TEXTS_KEPT = 4096


class RowEncoder:
    """Encodes JSON rows of one contract, one after the other; belongs to one thread.

    payload: the JSON of the row before, as ``RecordEncoder`` has it.
    """

    __slots__ = (
        "_decode",
        "_event",
        "_hashed",
        "_instants",
        "_keys",
        "_shape",
        "_version",
        "payload",
    )

    def __init__(self, record: type[Record]) -> None:
        row = _row(record)
        names = row.__struct_fields__
        self._shape = shape = shape_of(record)
        self._decode = msgspec.json.Decoder(row).decode if _is_plain(record) else None
        self._instants = tuple(names[place] for place in shape.places)
        self._event = names[shape.event] if shape.event >= 0 else None
        self._hashed = tuple(names[place] for place in shape.kept)
        self._keys = tuple(names[place] for place in shape.keys)
        self._version = None if shape.version_place is None else names[shape.version_place]
        self.payload = bytearray()

    def read(self, raw: bytes | msgspec.Raw) -> Record | None:
        """Return a row, or None where only a record can tell whether it is right, and what is not.

        It has the contract's methods, and whatever they ask of it. A contract that asks more
        of its values than their types has records only.
        """
        if self._decode is None:
            return None
        try:
            row = self._decode(raw)
            for name in self._instants:
                text = getattr(row, name)
                if text is not None:
                    setattr(row, name, _TEXTS.get(text) or _remember(text))
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return None
        return row

    def encode(self, row: Record) -> tuple[str, str | None, bytes, Any]:
        """As ``RecordEncoder.encode`` for what ``read`` gave."""
        shape, payload = self._shape, self.payload
        _JSON.encode_into(row, payload)
        if shape.hashed is None:
            content_hash = hash_of(payload)
        else:
            kept = shape.hashed(*[getattr(row, name) for name in self._hashed])
            content_hash = hash_of(_JSON.encode(kept))
        if not shape.is_keyed_by_fields:
            key = row.record_key()
        elif len(self._keys) == 1:
            key = key_part(getattr(row, self._keys[0]))
        else:
            key = key_text([getattr(row, name) for name in self._keys])
        if not shape.is_versioned_by_field:
            version = row.version_text()
        else:
            version = self._version and sortable(getattr(row, self._version))
        return key, version, content_hash, self._event and getattr(row, self._event)


def _remember(text: str) -> str:
    """Return an instant's text as it travels; a feed's rows share most of theirs."""
    if len(_TEXTS) >= _TEXTS_KEPT:
        _TEXTS.clear()
    known = _TEXTS[text] = utc_text(msgspec.convert(text, UtcDatetime))
    return known


@cache
def _row(record: type[Record]) -> type[Record]:
    """Return a class of the same fields and methods, whose instants are texts.

    What a method reads as an instant is parsed when it is read. A text or an integer that might
    not fit its column is refused, so that the rest need not be looked at again.
    """
    hints = get_type_hints(record, include_extras=True)
    fields: list[tuple[str, Any, Any]] = []
    members = _methods(record)
    make: Any = msgspec.field  # its overloads know either default, and here both are handed on
    for field, info in zip(fields_of(record), msgspec.structs.fields(record), strict=True):
        name, hint = field.name, hints[field.name]
        if field.base is datetime:
            name, hint = f"{name}__text", _optional(str, field)
            members[field.name] = property(_instant(name))
        elif field.base is str:
            limit = text_bytes(field) // TEXT_LENGTH_FACTOR
            hint = _optional(Annotated[str, msgspec.Meta(max_length=limit)], field)
        elif field.base is int:
            hint = _optional(Annotated[int, _INTEGER], field)
        given = make(
            name=info.encode_name, default=info.default, default_factory=info.default_factory
        )
        fields.append((name, hint, given))
    made = msgspec.defstruct(
        record.__name__,
        fields,
        bases=(Record,),
        namespace=members,
        frozen=False,
        gc=False,
        kw_only=True,
        forbid_unknown_fields=record.__struct_config__.forbid_unknown_fields,
    )
    return cast("type[Record]", made)


def _optional(hint: Any, field: Field) -> Any:
    return hint | None if field.nullable else hint


def _is_plain(record: type[Record]) -> bool:
    """Whether a contract asks nothing of its values beside their types."""
    hints = get_type_hints(record, include_extras=True)
    asked = (
        mark
        for field in fields_of(record)
        if field.base is not datetime
        for mark in _marks(hints[field.name])
    )
    has_checks = record.__post_init__ is not Record.__post_init__
    return not has_checks and not any(isinstance(mark, msgspec.Meta) for mark in asked)


def _marks(hint: Any) -> Iterator[Any]:
    yield from getattr(hint, "__metadata__", ())
    for part in get_args(hint):
        yield from _marks(part)


def _methods(record: type[Record]) -> dict[str, Any]:
    """Return what a contract and those that it extends define beside fields; the nearest counts."""
    found: dict[str, Any] = {}
    for one in reversed(record.__mro__[: record.__mro__.index(Record)]):
        found |= {
            name: member
            for name, member in vars(one).items()
            if not name.startswith("__") and name not in record.__struct_fields__
        }
    # A function of Python's own that does nothing costs a third of one of ours.
    return {**found, "__post_init__": operator.truth}


def _instant(name: str) -> Callable[[Any], datetime | None]:
    def read(row: Any) -> datetime | None:
        text = getattr(row, name)
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)

    return read
