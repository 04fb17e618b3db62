"""Single values from sources: checked text, numbers and instants.

Every function raises RowError, which names the field, for what a table could not hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

import msgspec

from emdata.contracts.base import SHORT_TEXT_LENGTH
from emdata.errors import RowError

INT64 = (-(2**63), 2**63 - 1)
LONGEST_TEXT = 262_144
"""Characters; StarRocks holds 1,048,576 bytes, and UTF-8 may take four for one."""

_SHOWN = 80
_LONGEST_NUMBER = 64
_HUGE = 1e300
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_ALIKE = 0.7


def shown(text: str) -> str:
    """Return the first characters of a text, printable, for an error message."""
    return ascii(text[:_SHOWN])


def clean(text: str | None, field: str, *, max_length: int) -> str | None:
    """Return text stripped of outer blanks, None when nothing is left.

    Raises RowError for NUL, which no table can hold, and for text beyond ``max_length`` characters.
    """
    if text is None:
        return None
    if "\x00" in text:
        raise RowError(f"{field}: contains NUL")
    text = text.strip()
    if len(text) > max_length:
        raise RowError(f"{field}: {len(text)} characters; allowed: {max_length}")
    return text or None


def number(
    value: Any,
    field: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    thousands: bool = False,
) -> float | None:
    """Return a finite number, given as one or as text; None and empty text are missing.

    low, high: what is physically possible; a wrong unit shows by it. thousands: text may carry
    commas, as ``1,204.10``. Raises RowError for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value.strip().replace(",", "") if thousands else value.strip()
        if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
            raise RowError(f"{field}: {shown(value)} is not a number")
        found = float(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value) if abs(value) < _HUGE else math.inf
    else:
        raise RowError(f"{field}: {shown(str(value))} is not a number")
    if not math.isfinite(found):
        raise RowError(f"{field}: {shown(str(value))} is not a finite number")
    if not low <= found <= high:
        raise RowError(f"{field}: {found:g} is out of range; allowed: {low:g} to {high:g}")
    return found


def bounded(value: int | None, field: str, *, bounds: Sequence[int] = INT64) -> int | None:
    """Return a whole number that fits its bounds (64 bits by default).

    Raises RowError when it does not.
    """
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise RowError(f"{field}: {value} is out of range; allowed: {bounds[0]} to {bounds[1]}")
    return value


def instant(text: str, field: str) -> datetime:
    """Read an ISO 8601 instant; one without an offset is UTC.

    Raises RowError when it is none.
    """
    try:
        value = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        raise RowError(f"{field}: {shown(text)} is no ISO 8601 instant") from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def refuse_renames(missing: Sequence[str], unknown: frozenset[str]) -> None:
    """Take a missing optional field beside an unknown one of a similar name for a renamed field.

    Raises RowError naming both; filling such a column with nulls would hide the change.
    """
    for old in missing:
        for new in sorted(unknown):
            first, second = old.lower(), new.lower()[:100]
            alike = SequenceMatcher(None, first, second).ratio() >= _ALIKE
            if first in second or second in first or alike:
                raise RowError(f"`{old}` is missing and `{new}` is unknown: renamed?")


def required(text: str | None, field: str) -> str:
    """Return the text of a key field.

    Raises RowError when it is missing or blank.
    """
    found = clean(text, field, max_length=SHORT_TEXT_LENGTH)
    if found is None:
        raise RowError(f"{field}: empty, and part of the key")
    return found


def json_text(value: Any, field: str) -> str | None:
    """Return JSON text with sorted names, None when there is nothing in the value.

    Raises RowError for NUL and for more than a table can hold.
    """
    if not value:
        return None
    text = msgspec.json.encode(value, order="sorted").decode()
    if "\\u0000" in text:
        raise RowError(f"{field}: contains NUL")
    if len(text) > LONGEST_TEXT:
        raise RowError(f"{field}: {len(text)} characters of JSON; allowed: {LONGEST_TEXT}")
    return text


def utc_offset(text: str) -> str | None:
    """Return the offset that an ISO 8601 instant ends in, such as ``-06:00``."""
    text = text.strip()
    if text[-1:] in ("Z", "z"):
        return "+00:00"
    tail = text[-6:]
    return tail if tail[:1] in ("+", "-") and tail[3:4] == ":" else None
