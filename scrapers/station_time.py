"""Local times of weather stations, which come without an offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from emdata.errors import DocumentError, RowError
from scrapers.values import shown

MOUNTAIN_STANDARD = timezone(timedelta(hours=-7), "MST")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_US = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-9]{2})", re.ASCII)
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})", re.ASCII)


def offset_zone(text: str) -> tzinfo:
    """Read an offset such as ``-07:00``.

    Raises DocumentError when it is none.
    """
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise DocumentError(f"tzOffset: {shown(text)} is not an offset such as -07:00")
    sign = -1 if match[1] == "-" else 1
    hours, minutes = int(match[2]), int(match[3])
    if hours > 14 or minutes > 59:
        raise DocumentError(f"tzOffset: {shown(text)} is out of range")
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def network_zone(name: str | None, offset: str | None) -> tzinfo:
    """Return the zone of a payload: mst (no daylight saving), co (Denver) or utc, else its offset.

    Raises DocumentError for an unknown zone, or one that its stated offset contradicts.
    """
    word = (name or "").strip().lower()
    if word == "co":
        return ZoneInfo("America/Denver")
    fixed = {"mst": MOUNTAIN_STANDARD, "utc": UTC}.get(word)
    stated = offset_zone(offset) if offset else None
    if fixed is None:
        if stated is None or word:
            raise DocumentError(f"timezone: {shown(word)} is unknown; known: mst, co, utc")
        return stated
    if stated is not None and stated.utcoffset(None) != fixed.utcoffset(None):
        raise DocumentError(f"timezone {word} contradicts tzOffset {offset}")
    return fixed


def station_instant(text: str, zone: tzinfo) -> datetime:
    """Read ``2026-05-09T13:00[:00]`` or ``05/09/2026 13:00`` as an aware UTC datetime.

    ``24:00`` is midnight at the end of that day. A time's own offset wins over the zone.
    Raises RowError for anything else: old data hold times beyond 24:00 and negative ones, and a
    local time that daylight saving skips or repeats names no instant.
    """
    iso, us = _ISO.fullmatch(text.strip()), _US.fullmatch(text.strip())
    if iso is not None:
        year, month, day, hour, minute = (int(part) for part in iso.groups()[:5])
        second, own = int(iso[6] or 0), iso[7]
    elif us is not None:
        month, day, year, hour, minute = (int(part) for part in us.groups())
        second, own = 0, None
    else:
        raise RowError(f"time: {shown(text)} is neither ISO 8601 nor MM/DD/YYYY HH:MM")
    is_midnight = (hour, minute, second) == (24, 0, 0)
    try:
        value = datetime(year, month, day, 0 if is_midnight else hour, minute, second)  # noqa: DTZ001
        value += timedelta(days=1 if is_midnight else 0)
        if own is not None:
            zone = UTC if own == "Z" else offset_zone(own)
        return _unambiguous(value, zone, text)
    except (ValueError, OverflowError, DocumentError):
        raise RowError(f"time: {shown(text)} does not exist") from None


def _unambiguous(value: datetime, zone: tzinfo, text: str) -> datetime:
    early, late = value.replace(tzinfo=zone, fold=0), value.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        raise RowError(f"time: {shown(text)} is skipped or repeated by daylight saving")
    return early.astimezone(UTC)
