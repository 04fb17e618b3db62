"""A small world of two sources, so that tests do not change when a source is added."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from emdata.contracts import Dataset, Record, UtcDatetime
from emergency_pipeline.catalog import Catalog, Stream, Window
from emergency_pipeline.ledger import Position

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Gauge(Record, frozen=True, kw_only=True):
    """A river gauge."""

    gauge_id: str
    name: str | None = None

    dataset: ClassVar[Dataset] = Dataset(
        name="river_gauges",
        source="river",
        domain="water",
        title="River gauges",
        key=("gauge_id",),
        event_time="gauge_id",
        fresh_within="1d",
        terms="public domain",
    )


class Level(Record, frozen=True, kw_only=True):
    """A water level."""

    gauge_id: str
    observed_at: UtcDatetime
    level_m: float | None = None

    dataset: ClassVar[Dataset] = Dataset(
        name="river_levels",
        source="river",
        domain="water",
        title="River levels",
        key=("gauge_id", "observed_at"),
        event_time="observed_at",
        fresh_within="2h",
        terms="public domain",
    )


class SkyWarning(Record, frozen=True, kw_only=True):
    """A warning."""

    warning_id: str
    sent_at: UtcDatetime

    dataset: ClassVar[Dataset] = Dataset(
        name="sky_warnings",
        source="sky",
        domain="weather",
        title="Warnings",
        key=("warning_id",),
        version="sent_at",
        event_time="sent_at",
        fresh_within="1d",
        terms="public domain",
        landing_group="alerts",
    )


def small_catalog() -> Catalog:
    """Two sources: one with two datasets, one with a window."""
    records = {record.dataset.name: record for record in (Gauge, Level, SkyWarning)}
    return Catalog(
        records=records,
        streams=(
            Stream("river", "river", ("river_gauges", "river_levels"), "20min", ("a.test",), ""),
            Stream("sky", "sky", ("sky_warnings",), "30s", ("b.test",), ""),
        ),
        windows=(Window("warnings_hourly", "windows-sky", ("sky_warnings",), "Warnings an hour"),),
    )


def position(dataset: str, rows: int, *, writer: int = 1, settled: int | None = None) -> Position:
    """A landed position with ``rows`` rows."""
    return Position(
        writer=writer,
        dataset=dataset,
        high_seq=rows,
        settled_seq=rows if settled is None else settled,
        landed=rows,
        dead=0,
        on_the_way=0,
        newest_event_at=NOON,
        newest_landed_at=NOON,
    )
