"""Recounting Flink's windows in Python from what the simulator says it served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from emdata.warehouse import Warehouse
from tests.support.witness import Served

Windows = dict[tuple[Any, ...], tuple[Any, ...]]
STANDARD_TIME = timedelta(hours=-7, seconds=-1)  # the label is the end of the hour
DECIMALS = Decimal("0.0001")


def latest(served: Iterable[Served]) -> dict[str, dict[str, Any]]:
    """Return the newest version's values by key."""
    newest: dict[str, Served] = {}
    for one in served:
        if one.key not in newest or one.version > newest[one.key].version:
            newest[one.key] = one
    return {key: one.values for key, one in newest.items()}


def alerts_hourly(served: Iterable[Served]) -> Windows:
    """Messages with status Actual that close nothing, by hour sent, event, state, severity."""
    groups: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for values in latest(served).values():
        if values["status"] != "Actual" or values["is_closing"]:
            continue
        hour = datetime.fromisoformat(values["sent_at"]).replace(minute=0, second=0, microsecond=0)
        key = (hour, values["event"], values["state"] or "unknown", values["severity"])
        groups[key].add(values["alert_id"])
    return {key: (len(ids),) for key, ids in groups.items()}


def disaster_alerts_daily(served: Iterable[Served]) -> Windows:
    """Declarations and areas by calendar day, type and state."""
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for values in latest(served).values():
        day = date.fromisoformat(values["declared_on"][:10])
        groups[day, values["declaration_type"], values["state"]].append(values["disaster_number"])
    return {key: (len(set(numbers)), len(numbers)) for key, numbers in groups.items()}


def disaster_alerts_hourly(served: Iterable[Served], first_seen: dict[str, datetime]) -> Windows:
    """Declarations and areas by hour of first acceptance, type and state."""
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for key, values in latest(served).items():
        hour = first_seen[key].replace(minute=0, second=0, microsecond=0)
        groups[hour, values["declaration_type"], values["state"]].append(values["disaster_number"])
    return {key: (len(set(numbers)), len(numbers)) for key, numbers in groups.items()}


def weather_station_daily(served: Iterable[Served]) -> Windows:
    """Observations by station and day of standard time: count, min, mean, max, sum, gust."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for values in latest(served).values():
        at = datetime.fromisoformat(values["observed_at"]) + STANDARD_TIME
        groups[values["station_id"], at.date()].append(values)
    return {key: _weather(rows) for key, rows in groups.items()}


def read_windows(warehouse: Warehouse, view: str, keys: int) -> Windows:
    """Return a window view's rows: the first ``keys`` columns are the key; floats rounded."""
    rows = [tuple(row.values()) for row in warehouse.query(f"SELECT * FROM raw_data.{view}")]
    found = {row[:keys]: tuple(_rounded(value) for value in row[keys:]) for row in rows}
    if len(found) != len(rows):
        raise AssertionError(f"{view} holds {len(rows)} rows for {len(found)} keys")
    return found


def _weather(rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    temperatures = _numbers(rows, "air_temperature_c")
    rain = _numbers(rows, "precipitation_mm")
    gusts = _numbers(rows, "wind_gust_m_s")
    mean = sum(map(_decimal, temperatures)) / len(temperatures) if temperatures else None
    return (
        len(rows),
        _rounded(min(temperatures, default=None)),
        _rounded(mean),
        _rounded(max(temperatures, default=None)),
        _rounded(sum(map(_decimal, rain)) if rain else None),
        _rounded(max(gusts, default=None)),
    )


def _numbers(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name] is not None]


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(DECIMALS)


def _rounded(value: Any) -> Any:
    if isinstance(value, float | Decimal):
        return round(float(value), 6)
    return value
