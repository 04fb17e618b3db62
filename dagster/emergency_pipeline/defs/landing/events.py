"""Landed positions -> materializations along the way of the rows: pure.

Only what changed is reported: the source that had something new, the Flink insert that wrote it,
the table that has it, and the windows that count it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from dagster import AssetKey, AssetMaterialization, MetadataValue

from emergency_pipeline.catalog import Catalog, landing_job
from emergency_pipeline.keys import flink_key, raw_key, source_key
from emergency_pipeline.ledger import Position

Marks = dict[str, int]
"""Landed rows per dataset when they were last reported."""


def read_marks(cursor: str | None) -> Marks:
    """Return the marks of a sensor's cursor; empty for a new sensor."""
    return {} if not cursor else {str(k): int(v) for k, v in json.loads(cursor).items()}


def landing_events(
    positions: Iterable[Position], marks: Mapping[str, int], catalog: Catalog
) -> tuple[list[AssetMaterialization], str]:
    """Return a materialization per changed table, windows included, and the next cursor.

    Datasets without a contract (left over from another release) are left out.
    """
    by_dataset: dict[str, list[Position]] = {}
    for position in positions:
        if position.dataset in catalog.records:
            by_dataset.setdefault(position.dataset, []).append(position)
    events = []
    new = dict(marks)
    for dataset, members in sorted(by_dataset.items()):
        rows = sum(member.landed for member in members)
        if rows == marks.get(dataset, 0):
            continue
        events.append(_landed(dataset, members, rows, rows - marks.get(dataset, 0)))
        new[dataset] = rows
    changed = [name for name in new if new[name] != marks.get(name, 0)]
    events.extend(_on_the_way(changed, catalog))
    events.extend(_windows(changed, catalog))
    return events, json.dumps(new, sort_keys=True)


def _landed(dataset: str, members: list[Position], rows: int, added: int) -> AssetMaterialization:
    return AssetMaterialization(
        asset_key=raw_key(dataset),
        description=f"{added} rows landed",
        metadata={
            "dagster/row_count": rows,
            "rows added": added,
            "newest event": _instant(member.newest_event_at for member in members),
            "newest landing": _instant(member.newest_landed_at for member in members),
            "highest sequence number": MetadataValue.json(
                {f"writer {member.writer}": member.high_seq for member in members}
            ),
            "on the way": sum(member.on_the_way for member in members),
            "dead letters": sum(member.dead for member in members),
        },
    )


def _on_the_way(changed: Iterable[str], catalog: Catalog) -> Iterator[AssetMaterialization]:
    streams: dict[AssetKey, list[str]] = {}
    for dataset in changed:
        job = landing_job(catalog.records[dataset])
        yield AssetMaterialization(flink_key(job, dataset), description="rows written")
        for stream in catalog.streams_of(dataset):
            streams.setdefault(source_key(stream), []).append(dataset)
    for key, datasets in streams.items():
        yield AssetMaterialization(key, description=f"new records of {', '.join(datasets)}")


def _windows(changed: Iterable[str], catalog: Catalog) -> list[AssetMaterialization]:
    datasets = set(changed)
    return [
        AssetMaterialization(
            asset_key=key,
            description=f"updated by {window.job}",
            metadata={"rows landed in": ", ".join(sorted(datasets & set(window.datasets)))},
        )
        for window in catalog.windows
        if datasets & set(window.datasets)
        for key in (flink_key(window.job, window.name), raw_key(window.name))
    ]


def _instant(values: Iterable[datetime | None]) -> MetadataValue:
    known = [value for value in values if value is not None]
    return MetadataValue.timestamp(max(known)) if known else MetadataValue.text("unknown")
