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


def check_storable(record: Record) -> None:
    """Check lengths of texts (UTF-8 bytes) and ranges of integers against the type table.

    Raises ContractError naming the field.
    """
    for name, limit in _texts(type(record)):
        value = getattr(record, name)
        if value is not None:
            _check_text(f"{record.dataset.name}.{name}", value, limit)
    for name in _integers(type(record)):
        value = getattr(record, name)
        if value is not None and not -MAX_BIGINT - 1 <= value <= MAX_BIGINT:
            raise ContractError(
                f"{record.dataset.name}.{name}", value=value, allowed="a 64-bit integer"
            )
    _check_text(f"{record.dataset.name} record_key", record.record_key(), MAX_KEY_BYTES)
    _check_text(
        f"{record.dataset.name} record_version", record.version_text() or "", MAX_VERSION_BYTES
    )


def _check_text(where: str, value: str, limit: int) -> None:
    if len(value) * TEXT_LENGTH_FACTOR > limit:
        size = len(value.encode())
        if size > limit:
            raise ContractError(where, value=value, allowed=f"at most {limit} bytes, not {size}")


@cache
def _texts(record: type[Record]) -> tuple[tuple[str, int], ...]:
    texts = (field for field in fields_of(record) if field.base is str)
    return tuple((field.name, text_bytes(field)) for field in texts)


@cache
def _integers(record: type[Record]) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(record) if field.base is int)
