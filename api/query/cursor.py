"""Where a page ended, as an opaque text that only fits the question it was made for.

It holds the order's values of the page's last item and a checksum over them and the question. A
changed or invented one is refused; one that was computed anew is only another place to begin at,
because what a caller may see does not depend on it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from api.catalog.model import Property
from api.problems import Problem, bad_parameter
from api.query.model import ItemsQuery
from api.query.values import is_int64

_DIGEST = 12
_LONGEST = 8192
_ALLOWED = "the cursor of a `next` link, with the other parameters as they were"
_JSON = msgspec.json.Encoder(decimal_format="string")


def cursor_of(query: ItemsQuery, last: Sequence[Any]) -> str:
    """Return the cursor behind an item; ``last`` are the values of the query's order."""
    properties = query.collection.by_name
    values = [
        _written(properties[part.name], value)
        for part, value in zip(query.order, last, strict=True)
    ]
    payload = _JSON.encode(values)
    whole = _digest(query, payload) + payload
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def values_of(query: ItemsQuery, cursor: str) -> tuple[Any, ...]:
    """Return the order's values of a cursor. Raises Problem ``bad-parameter`` for a wrong one."""
    problem = bad_parameter("cursor", cursor, _ALLOWED)
    if len(cursor) > _LONGEST:
        raise problem
    try:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, payload = whole[:_DIGEST], whole[_DIGEST:]
        values = msgspec.json.decode(payload, type=list[Any])
    except (binascii.Error, ValueError, RecursionError):
        raise problem from None
    if digest != _digest(query, payload) or len(values) != len(query.order):
        raise problem
    properties = query.collection.by_name
    return tuple(
        _read(properties[part.name], value, problem)
        for part, value in zip(query.order, values, strict=True)
    )


def _digest(query: ItemsQuery, payload: bytes) -> bytes:
    asked = (
        query.collection.id,
        query.filters,
        query.bbox,
        query.between,
        query.as_of,
        query.order,
        query.where,
        query.has_all_versions,
    )
    return hashlib.sha256(repr(asked).encode() + b"\0" + payload).digest()[:_DIGEST]


def _written(one: Property, value: Any) -> Any:
    if value is None:
        return None
    if one.type == "boolean":
        return bool(value)
    return value.isoformat() if isinstance(value, date) else value


def _read(one: Property, value: Any, problem: Problem) -> Any:
    """Return a value as StarRocks gave it; the checksum is right, so a wrong type is an attack."""
    if value is None:
        return None
    try:
        if one.type == "date-time":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        if one.type == "date":
            return date.fromisoformat(value)
        if one.type == "number" and isinstance(value, str):
            return Decimal(value)
    except (TypeError, ValueError, InvalidOperation):
        raise problem from None
    kinds = {"string": str, "integer": int, "number": float | int, "boolean": bool}
    kind = kinds.get(one.type)
    is_right = kind is not None and isinstance(value, kind)
    if not is_right or (one.type != "boolean" and isinstance(value, bool)):
        raise problem
    if isinstance(value, int) and not is_int64(value):
        raise problem
    return value
