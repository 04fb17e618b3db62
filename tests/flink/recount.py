"""The windows counted again in plain Python, from the Kafka values of everything that was sent.

Written from the definitions in docs/flink.md, not from the SQL, so that the two can disagree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Value = dict[str, Any]
Counts = dict[tuple[Any, ...], tuple[Any, ...]]
STANDARD_TIME = timedelta(hours=-7)


def latest(values: Iterable[Value]) -> list[Value]:
    """The current version of every key: highest version, then sequence, then writer."""
    current: dict[str, Value] = {}
    for value in values:
        best = current.get(value["record_key"])
        if best is None or _rank(value) > _rank(best):
            current[value["record_key"]] = value
    return list(current.values())


def alerts_hourly(values: Iterable[Value], correction_days: int) -> Counts:
    """Distinct messages by hour of sending, event, state and severity."""
    messages: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for value in latest(_in_time(values, "sent_at", correction_days)):
        if value["status"] == "Actual" and not value["is_closing"]:
            key = (
                _hour(value["sent_at"]),
                _known(value["event"], 80),
                _known(value["state"], 8),
                _known(value["severity"], 16),
            )
            messages[key].add(value["alert_id"])
    return {key: (len(ids),) for key, ids in messages.items()}


def disaster_alerts_hourly(values: Iterable[Value]) -> Counts:
    """Declarations by the hour in which the first version of an area was accepted."""
    rows = list(values)
    first = _first_accepted(rows)
    return _declarations(latest(rows), lambda value: _hour(first[value["record_key"]]))


def disaster_alerts_daily(values: Iterable[Value]) -> Counts:
    """Declarations by calendar day of declaration."""
    dated = [value for value in latest(values) if value["declared_on"] is not None]
    return _declarations(dated, lambda value: date.fromisoformat(value["declared_on"]))


def weather_station_daily(values: Iterable[Value], correction_days: int) -> Counts:
    """Count, minimum, mean and maximum temperature, precipitation and gust by station and day."""
    days: dict[tuple[Any, ...], list[Value]] = defaultdict(list)
    for value in latest(_in_time(values, "observed_at", correction_days)):
        local = datetime.fromisoformat(value["observed_at"]) + STANDARD_TIME
        # The label is the end of the hour: midnight ends the day before.
        day = (local - timedelta(seconds=1)).date()
        days[value["station_id"], day].append(value)
    return {key: _weather(rows) for key, rows in days.items()}


def aggregated_emission(values: Iterable[Value]) -> Counts:
    """Exact sum and number of emissions by organization and month of first acceptance."""
    rows = list(values)
    first = _first_accepted(rows)
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for value in latest(rows):
        month = date.fromisoformat(first[value["record_key"]][:10]).replace(day=1)
        key = (value["organization_id"], month)
        sums[key] += Decimal(repr(value["value"]))
        counts[key] += 1
    return {key: (sums[key], counts[key]) for key in sums}


def _first_accepted(rows: Iterable[Value]) -> dict[str, str]:
    first: dict[str, str] = {}
    for value in rows:
        key, at = value["record_key"], value["accepted_at"]
        first[key] = min(at, first.get(key, at))
    return first


def _weather(rows: list[Value]) -> tuple[Any, ...]:
    temperatures = [r["air_temperature_c"] for r in rows if r["air_temperature_c"] is not None]
    rain = [r["precipitation_mm"] for r in rows if r["precipitation_mm"] is not None]
    gusts = [r["wind_gust_m_s"] for r in rows if r["wind_gust_m_s"] is not None]
    mean = float(sum(map(_exact, temperatures))) / len(temperatures) if temperatures else None
    return (
        len(rows),
        min(temperatures, default=None),
        mean,
        max(temperatures, default=None),
        float(sum(map(_exact, rain))) if rain else None,
        max(gusts, default=None),
    )


def _declarations(rows: Iterable[Value], when: Callable[[Value], Any]) -> Counts:
    numbers: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    areas: dict[tuple[Any, ...], int] = defaultdict(int)
    for value in rows:
        key = (when(value), _known(value["declaration_type"], 8), _known(value["state"], 8))
        numbers[key].add(value["disaster_number"])
        areas[key] += 1
    return {key: (len(found), areas[key]) for key, found in numbers.items()}


def _in_time(values: Iterable[Value], event_time: str, days: int) -> list[Value]:
    limit = timedelta(days=days)
    return [
        value
        for value in values
        if datetime.fromisoformat(value["accepted_at"])
        < datetime.fromisoformat(value[event_time]) + limit
    ]


def _rank(value: Value) -> tuple[str, int, int]:
    return (value["record_version"] or "", value["seq"], value["writer"])


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(minute=0, second=0, microsecond=0)


def _known(text: str | None, length: int) -> str:
    return "Unknown" if text is None else text[:length]


def _exact(number: float) -> Decimal:
    return Decimal(repr(number)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
