"""HTTP dates and Retry-After (RFC 9110, sections 5.6.7 and 10.2.3), read without trust."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 3600.0
"""Seconds; a source that asks for more is asked again after this."""

_LONGEST_DATE = 64
_SECONDS = re.compile(r"[0-9]{1,64}", re.ASCII)


def http_date(text: str) -> datetime | None:
    """Return an HTTP date as an aware UTC datetime, or None when it is not one."""
    if len(text) > _LONGEST_DATE:
        return None
    try:
        value = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    value = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return None


def retry_after_seconds(text: str | None, now: datetime) -> float | None:
    """Return how long to wait in seconds, from 0 to ``MAX_RETRY_AFTER``, or None when unusable.

    Seconds and HTTP dates are understood; a date that has passed means now, and a negative or
    meaningless value is no answer at all.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(int(text)), MAX_RETRY_AFTER)
    at = http_date(text)
    if at is None:
        return None
    return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER)
