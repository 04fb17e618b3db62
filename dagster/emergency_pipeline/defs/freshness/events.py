"""Freshness states -> observations of the sources and checks of their tables: pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    AssetObservation,
    MetadataValue,
)

from emdata.state.freshness import BROKEN, LATE, UPSTREAM_STALE, StreamFreshness
from emergency_pipeline.catalog import Catalog, Stream
from emergency_pipeline.keys import FRESHNESS_CHECK, raw_key, source_key

FAILING = {
    LATE: AssetCheckSeverity.WARN,
    UPSTREAM_STALE: AssetCheckSeverity.WARN,
    BROKEN: AssetCheckSeverity.ERROR,
}
"""States that fail the check; fresh, quiet and off pass: quiet is not broken."""


def read_states(cursor: str | None) -> dict[str, str]:
    """Return the state per stream at the last tick; empty for a new sensor."""
    return {} if not cursor else {str(k): str(v) for k, v in json.loads(cursor).items()}


def freshness_events(
    found: Iterable[StreamFreshness], before: Mapping[str, str], catalog: Catalog
) -> tuple[list[AssetObservation | AssetCheckEvaluation], str]:
    """Return a check evaluation per asset, an observation per changed state, the next cursor.

    A stream that no scraper has any more is left out.
    """
    streams = {stream.name: stream for stream in catalog.streams}
    events: list[AssetObservation | AssetCheckEvaluation] = []
    states: dict[str, str] = {}
    for item in found:
        stream = streams.get(item.stream)
        if stream is None:
            continue
        states[item.stream] = item.state
        if before.get(item.stream) != item.state:
            events.append(_observation(stream, item))
        events.extend(evaluation(key, item) for key in checked_assets(stream))
    return events, json.dumps(states, sort_keys=True)


def checked_assets(stream: Stream) -> Iterator[AssetKey]:
    """Yield the assets that carry the freshness check of a stream: source and landed tables."""
    yield source_key(stream)
    for dataset in stream.datasets:
        yield raw_key(dataset)


def evaluation(key: AssetKey, item: StreamFreshness) -> AssetCheckEvaluation:
    """Return the freshness check of one asset."""
    state = item.state
    return AssetCheckEvaluation(
        asset_key=key,
        check_name=FRESHNESS_CHECK,
        passed=state not in FAILING,
        severity=FAILING.get(state, AssetCheckSeverity.WARN),
        description=f"{state}: {item.why}",
        metadata=clocks(item),
    )


def clocks(item: StreamFreshness) -> dict[str, MetadataValue]:
    """Return the state, its reason and the three clocks as metadata."""
    return {
        "state": MetadataValue.text(item.state),
        "why": MetadataValue.text(item.why),
        "last successful poll": _instant(item.last_poll_at),
        "newest event upstream": _instant(item.newest_event_at),
        "last row landed": _instant(item.last_landed_at),
    }


def _observation(stream: Stream, item: StreamFreshness) -> AssetObservation:
    return AssetObservation(
        asset_key=source_key(stream),
        description=f"{item.state}: {item.why}",
        metadata=clocks(item),
    )


def _instant(value: datetime | None) -> MetadataValue:
    return MetadataValue.text("never") if value is None else MetadataValue.timestamp(value)
