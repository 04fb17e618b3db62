"""START ... END ... EVERY: the partitions of a batch, with StarRocks' names for them.

Source: StarRocks 3.5 documentation, "Range partitioning", "Create multiple partitions in batch".
"""

from __future__ import annotations

import datetime

from embedded_starrocks.errors import semantic_error
from embedded_starrocks.sql.types import INTEGER_BITS, ColumnType

MAX_PARTITIONS = 4096
_NAMES = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}


def batch(
    kind: ColumnType, start: str, end: str, step: int, unit: str, prefix: str
) -> list[tuple[str, str, str]]:
    """Name, lower and upper bound of each. Raises SqlError for a batch that makes no sense."""
    is_number = kind.name in INTEGER_BITS
    if is_number == bool(unit):
        raise semantic_error("Batch build partition EVERY does not match the type of START and END")
    found = _numbers(start, end, step) if is_number else _times(kind, start, end, step, unit)
    if not found:
        raise semantic_error(f"Batch build partition START {start} is not below END {end}")
    return [(prefix + name, low, high) for name, low, high in found]


def _numbers(start: str, end: str, step: int) -> list[tuple[str, str, str]]:
    values = range(int(start), int(end), step)
    if len(values) > MAX_PARTITIONS:
        raise _too_many()
    return [(str(each), str(each), str(each + step)) for each in values]


def _too_many() -> Exception:
    return semantic_error(f"The number of batch partitions should not exceed:{MAX_PARTITIONS}")


def _times(
    kind: ColumnType, start: str, end: str, step: int, unit: str
) -> list[tuple[str, str, str]]:
    if unit not in (*_NAMES, "WEEK"):
        raise semantic_error(f"Batch build partition does not support time interval type: {unit}")
    if unit == "HOUR" and kind.name == "DATE":
        raise semantic_error("EVERY (INTERVAL n HOUR) needs a DATETIME column")
    at, last = datetime.datetime.fromisoformat(start), datetime.datetime.fromisoformat(end)
    found = []
    while at < last:
        if unit == "WEEK":
            # A batch by weeks begins on the Monday of its first week.
            at -= datetime.timedelta(days=at.weekday())
        name = week_name(at.date()) if unit == "WEEK" else at.strftime(_NAMES[unit])
        low, at = at, _next(at, step, unit)
        if unit != "DAY":
            at = min(at, last)
        found.append((name, _text(low, kind), _text(at, kind)))
        if len(found) > MAX_PARTITIONS:
            raise _too_many()
    return found


def _next(at: datetime.datetime, step: int, unit: str) -> datetime.datetime:
    """The start of the next whole unit, `step` of them later."""
    if unit == "HOUR":
        return at.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(hours=step)
    if unit in ("DAY", "WEEK"):
        days = step if unit == "DAY" else 7 * step
        return at.replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=days)
    if unit == "YEAR":
        return at.replace(year=at.year + step, month=1, day=1)
    months = at.year * 12 + at.month - 1 + step
    return at.replace(year=months // 12, month=months % 12 + 1, day=1)


def _text(at: datetime.datetime, kind: ColumnType) -> str:
    return at.date().isoformat() if kind.name == "DATE" else at.isoformat(" ")


def week_name(day: datetime.date) -> str:
    """Year and week; weeks begin on Sunday, and the first is that of January 1."""
    first = (datetime.date(day.year, 1, 1).weekday() + 1) % 7
    week = (day.timetuple().tm_yday - 1 + first) // 7 + 1
    saturday = day + datetime.timedelta(days=(5 - day.weekday()) % 7)
    if saturday.year > day.year:
        week = 53
    return f"{day.year}_{week:02d}"
