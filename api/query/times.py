"""Instants, days and intervals as callers write them: RFC 3339, intervals as OGC API does."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from api.problems import bad_parameter
from api.query.model import Between

INSTANT = "an instant such as 2026-08-01T12:00:00Z"
INTERVAL = f"{INSTANT}, a day, or an interval start/end with .. for an open end"
_LONGEST = 40
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
_MICROSECOND = timedelta(microseconds=1)
_TO_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def instant(name: str, text: str) -> datetime:
    """Return an instant in UTC; a day is its first moment.

    Raises Problem ``bad-parameter`` for anything but RFC 3339 with an offset, or a day.
    """
    if _is_day(text):
        return _start_of(day(name, text))
    # A plus sign that was not escaped arrives as a space.
    if len(text) > _LONGEST or _INSTANT.match(text[:19] + text[19:].replace(" ", "+")) is None:
        raise bad_parameter(name, text, f"{INSTANT}, with Z or an offset (+ is written %2B)")
    try:
        plain = _TO_MICROSECONDS.sub(r"\1", text[:19] + text[19:].replace(" ", "+"))
        return datetime.fromisoformat(plain.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_parameter(name, text, f"{INSTANT} that exists") from None


def day(name: str, text: str) -> date:
    """Return a calendar day. Raises Problem ``bad-parameter`` for anything else."""
    if not _is_day(text):
        raise bad_parameter(name, text, "a day such as 2026-08-01")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise bad_parameter(name, text, "a day that exists, such as 2026-08-01") from None


def interval(name: str, text: str) -> Between:
    """Return an interval, closed at both ends; an instant or a day is one too.

    Raises Problem ``bad-parameter`` for what is none or ends before it starts.
    """
    start, slash, end = text.partition("/")
    if not slash:
        return Between(instant(name, text), _last(name, text))
    first = None if start in ("", "..") else instant(name, start)
    last = None if end in ("", "..") else _last(name, end)
    if "/" in end or (start, end) == ("", ""):
        raise bad_parameter(name, text, INTERVAL)
    if first is not None and last is not None and first > last:
        raise bad_parameter(name, text, "an interval that does not end before it starts")
    return Between(first, last)


def _last(name: str, text: str) -> datetime:
    """The last moment that a text names: a day's, or the instant itself."""
    first = instant(name, text)
    if not _is_day(text):
        return first
    try:
        return first + timedelta(days=1) - _MICROSECOND
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _is_day(text: str) -> bool:
    return _DAY.match(text) is not None


def _start_of(given: date) -> datetime:
    return datetime(given.year, given.month, given.day, tzinfo=UTC)
