"""What records are known by: keys, versions and instants as texts, and hashes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from xxhash import xxh3_128_digest

HASH_BYTES = 16


def short_hash(data: bytes) -> bytes:
    """Return the first HASH_BYTES of SHA-256: what keys are known by."""
    return sha256(data).digest()[:HASH_BYTES]


def hash_of(content: bytes | bytearray) -> bytes:
    """Return HASH_BYTES of XXH3: what the contents of one key are compared by (ADR 0024).

    Source: the XXH3 specification, 128 bits, seed 0, in its canonical (big-endian) form.
    """
    return xxh3_128_digest(content)


def utc_text(value: datetime) -> str:
    """Write an aware instant as ``YYYY-MM-DDTHH:MM:SS.ffffff`` in UTC, without an offset."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def key_text(values: Sequence[Any]) -> str:
    """Join the values of a key by ``|``, with ``\\`` and ``|`` in them escaped."""
    return "|".join([key_part(value) for value in values])


def key_part(value: Any) -> str:
    """Return one value of a key as text, escaped."""
    text = utc_text(value) if isinstance(value, datetime) else str(value)
    if "|" in text or "\\" in text:
        return text.replace("\\", "\\\\").replace("|", "\\|")
    return text


def sortable(value: Any) -> str:
    """Return a version as text that sorts as the versions do."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return f"{value:020d}"
    return str(value)
