"""Small contracts of the tests' own, so that these tests do not change with the real sources."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from emdata.contracts.base import A, Dataset, Doc, JsonText, Record, UtcDatetime


class Reading(Record, frozen=True, kw_only=True):
    """A reading; two of its fields have names that Flink reserves."""

    station: A[str, Doc("Station")]
    read_at: A[UtcDatetime, Doc("Instant of the reading")]
    value: A[float | None, Doc("Measured value", "mm")] = None
    timestamp: A[UtcDatetime | None, Doc("A reserved word")] = None
    raw: JsonText | None = None
    is_checked: bool | None = None

    dataset: ClassVar[Dataset] = Dataset(
        name="gauge_readings",
        source="gauge",
        domain="water",
        title="Readings of rain gauges",
        key=("station", "read_at"),
        version="read_at",
        event_time="read_at",
        fresh_within="1h",
        terms="test data",
    )


class FloodWarning(Record, frozen=True, kw_only=True):
    """A warning, landed with the alerts."""

    warning_id: str
    sent_at: UtcDatetime

    dataset: ClassVar[Dataset] = Dataset(
        name="gauge_warnings",
        source="gauge",
        domain="water",
        title="Flood warnings",
        key=("warning_id",),
        version="sent_at",
        event_time="sent_at",
        fresh_within="1h",
        terms="test data",
        landing_group="alerts",
    )


class Station(Record, frozen=True, kw_only=True):
    """A station, whose dataset sorts before the others."""

    station: str
    opened_at: UtcDatetime | None = None

    dataset: ClassVar[Dataset] = replace(
        Reading.dataset,
        name="gauge_a_stations",
        key=("station",),
        version=None,
        event_time="opened_at",
    )
