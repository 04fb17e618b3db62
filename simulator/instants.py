"""Simulated instants are seconds since 1970 (UTC) as floats; these write them down."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

DAY = 86_400.0
HOUR = 3_600.0


def utc(instant: float) -> datetime:
    """Return an aware UTC datetime, to the millisecond."""
    return datetime.fromtimestamp(round(instant, 3), UTC)


def day_of(instant: float) -> date:
    """Return the UTC calendar day."""
    return utc(instant).date()


def start_of(day: date) -> float:
    """Return the instant of midnight UTC of ``day``."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def iso_z(instant: float) -> str:
    """Write ``2026-11-21T09:14:10.123Z``."""
    return utc(instant).strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc(instant).microsecond // 1000:03d}Z"


def iso_utc(instant: float) -> str:
    """Write ``2026-11-21T09:14:10.123000``: UTC without an offset, as the ledger keeps it."""
    return utc(instant).replace(tzinfo=None).isoformat(timespec="microseconds")


def midnight_z(day: date) -> str:
    """Write a calendar date the way OpenFEMA does, as midnight UTC."""
    return f"{day.isoformat()}T00:00:00.000Z"


def with_offset(instant: float, hours: float) -> str:
    """Write ``2026-11-21T02:14:10-07:00`` for a fixed offset in hours."""
    local = utc(instant) + timedelta(hours=hours)
    sign, minutes = ("-" if hours < 0 else "+"), round(abs(hours) * 60)
    return local.strftime("%Y-%m-%dT%H:%M:%S") + f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def http_date(instant: float) -> str:
    """Write an HTTP date (whole seconds, rounded down)."""
    return format_datetime(datetime.fromtimestamp(int(instant), UTC), usegmt=True)


def read_http_date(text: str) -> float | None:
    """Read an HTTP date; None when it is not one."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None


def read_iso(text: str) -> float:
    """Read an ISO date or instant; without an offset it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().upper().replace(" ", "+") if "T" in text else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
