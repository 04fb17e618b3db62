"""What the raw tables can hold, checked at the door.

A row that a table refuses would stop the landing of its neighbors as well, so it must end in the
dead letters before it is acknowledged.
"""

from __future__ import annotations

from functools import cache

from emdata.contracts.base import Record, fields_of
from emdata.derive.types import KEY_LENGTH, TEXT_LENGTH_FACTOR, text_bytes
from emdata.errors import ContractError

MAX_BIGINT = 2**63 - 1
MAX_KEY_BYTES = TEXT_LENGTH_FACTOR * KEY_LENGTH
MAX_VERSION_BYTES = TEXT_LENGTH_FACTOR * 64


def check_storable(record: Record, payload_size: int | None = None) -> None:
    """Check lengths of texts (UTF-8 bytes) and ranges of integers against the type table.

    ``payload_size``: bytes of the record's JSON, where known; no text in it can be longer.
    Raises ContractError naming the field.
    """
    limits = _limits(type(record))
    if payload_size is None or payload_size > limits.shortest:
        for name, limit in limits.texts:
            value = getattr(record, name)
            if value is not None and len(value) * TEXT_LENGTH_FACTOR > limit:
                _check_text(f"{record.dataset.name}.{name}", value, limit)
    for name in limits.integers:
        value = getattr(record, name)
        if value is not None and not -MAX_BIGINT - 1 <= value <= MAX_BIGINT:
            raise ContractError(
                f"{record.dataset.name}.{name}", value=value, allowed="a 64-bit integer"
            )


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


class _Limits:
    """The texts of a contract with their limits in bytes, the shortest limit, and its integers."""

    __slots__ = ("integers", "shortest", "texts")

    def __init__(self, record: type[Record]) -> None:
        fields = fields_of(record)
        self.texts = tuple((f.name, text_bytes(f)) for f in fields if f.base is str)
        self.shortest = min((limit for _, limit in self.texts), default=MAX_KEY_BYTES)
        self.integers = tuple(f.name for f in fields if f.base is int)


@cache
def _limits(record: type[Record]) -> _Limits:
    return _Limits(record)
