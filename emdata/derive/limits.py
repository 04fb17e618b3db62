"""What the raw tables can hold, checked at the door.

A row that a table refuses would stop the landing of its neighbors as well, so it must end in the
dead letters before it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any

from emdata.contracts.base import Record, RecordEncoder, fields_of
from emdata.derive.types import KEY_LENGTH, TEXT_LENGTH_FACTOR, text_bytes
from emdata.errors import ContractError

MAX_BIGINT = 2**63 - 1
MAX_KEY_BYTES = TEXT_LENGTH_FACTOR * KEY_LENGTH
MAX_VERSION_BYTES = TEXT_LENGTH_FACTOR * 64


def check_storable(record: Record) -> None:
    """Check lengths of texts (UTF-8 bytes) and ranges of integers against the type table.

    Raises ContractError naming the field.
    """
    encoder = RecordEncoder(type(record))
    encoder.encode(record)
    check_values(record, encoder.values, len(encoder.payload))


def check_values(record: Record, values: list[Any], size: int) -> None:
    """As ``check_storable`` for a record that was encoded: its values, and its payload's bytes."""
    limits = _limits(type(record))
    room = size - limits.frame
    if room > limits.shortest:
        # A text is no longer than what the JSON holds beside the texts of larger limits.
        for group in limits.texts:
            if room > group.bytes:
                _check_texts(record, group)
            if group.bytes > limits.shortest:
                room -= sum(map(len, filter(None, group.of(values))))
    for place, name in limits.integers:
        value = values[place]
        if value is not None and not -MAX_BIGINT - 1 <= value <= MAX_BIGINT:
            raise ContractError(
                f"{record.dataset.name}.{name}", value=value, allowed="a 64-bit integer"
            )


def _check_texts(record: Record, group: _Texts) -> None:
    for name in group.names:
        value = getattr(record, name)
        if value is not None and len(value) * TEXT_LENGTH_FACTOR > group.bytes:
            _check_text(f"{record.dataset.name}.{name}", value, group.bytes)


def check_identity(dataset: str, record_key: str, version: str | None) -> None:
    """Check the lengths of a record's key and version. Raises ContractError naming which."""
    if len(record_key) * TEXT_LENGTH_FACTOR > MAX_KEY_BYTES:
        _check_text(f"{dataset} record_key", record_key, MAX_KEY_BYTES)
    if version is not None and len(version) * TEXT_LENGTH_FACTOR > MAX_VERSION_BYTES:
        _check_text(f"{dataset} record_version", version, MAX_VERSION_BYTES)


def _check_text(where: str, value: str, limit: int) -> None:
    size = len(value.encode())
    if size > limit:
        raise ContractError(where, value=value, allowed=f"at most {limit} bytes, not {size}")


class _Texts:
    """The texts of a contract with one limit in bytes; ``of`` gets them from the values."""

    __slots__ = ("bytes", "names", "of")

    def __init__(self, limit: int, places: list[int], names: list[str]) -> None:
        self.bytes, self.names = limit, names
        if len(places) == 1:
            self.of: Callable[[list[Any]], Sequence[Any]] = partial(_only, places[0])
        else:
            self.of = itemgetter(*places)


def _only(place: int, values: list[Any]) -> Sequence[Any]:
    return (values[place],)


class _Limits:
    """The texts of a contract by limit, the longest first, and its integers with their places.

    frame: the bytes of a record's JSON that belong to no value.
    """

    __slots__ = ("frame", "integers", "shortest", "texts")

    def __init__(self, record: type[Record]) -> None:
        fields = list(enumerate(fields_of(record)))
        texts = [
            (text_bytes(field), place, field.name) for place, field in fields if field.base is str
        ]
        self.texts = [
            _Texts(
                limit,
                [place for size, place, _ in texts if size == limit],
                [name for size, _, name in texts if size == limit],
            )
            for limit in sorted({size for size, _, _ in texts}, reverse=True)
        ]
        self.shortest = min((size for size, _, _ in texts), default=0)
        self.frame = 1 + sum(len(f'"{field.name}":,') for _, field in fields)
        self.integers = [(place, field.name) for place, field in fields if field.base is int]


@cache
def _limits(record: type[Record]) -> _Limits:
    return _Limits(record)
