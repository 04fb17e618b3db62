"""Brings the bulk files of datasets up to date with what has landed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from emdata.bulk.files import MEDIA_TYPES, Written, day_rows, write_day
from emdata.bulk.landed import landed_days, settled_days
from emdata.bulk.manifest import (
    BulkColumn,
    BulkFile,
    DaySummary,
    Index,
    Manifest,
    WriterRange,
    day_prefix,
)
from emdata.bulk.shelf import Shelf
from emdata.bulk.tables import bulk_table
from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.tabular.model import Table
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse

log = get_logger(__name__)


@dataclass
class Report:
    """What a build did with one dataset. shrunk: days whose files have more rows than StarRocks.

    Those are left as they are: files are never replaced by ones with less.
    """

    dataset: str
    built: list[date] = field(default_factory=list)
    kept: int = 0
    shrunk: list[date] = field(default_factory=list)
    rows: int = 0


class Builder:
    """Builds the days whose rows or columns differ from what the files have.

    A day whose rows did not change is not touched; building it again gives the same bytes.
    """

    def __init__(self, shelf: Shelf, warehouse: Warehouse, state: Engine, clock: Clock) -> None:
        self._shelf, self._warehouse = shelf, warehouse
        self._state, self._clock = state, clock

    def bring_up_to_date(self, record: type[Record]) -> Report:
        """Build what is missing or changed of a dataset.

        Raises WarehouseUnavailable, WarehouseError, StateUnavailable, BulkDamaged and OSError; the
        days built before that stay.
        """
        name = record.dataset.name
        report = Report(name)
        days = landed_days(self._warehouse, record)
        settled = settled_days(self._state, name, days, self._clock.now())
        known = {one.day: one for one in self._shelf.index(name).days}
        table = bulk_table(record, {})
        for day, ranges in sorted(days.items()):
            before = known.get(day)
            wanted = data_version(table, ranges)
            if before is not None and sum(one.rows for one in ranges) < before.rows:
                report.shrunk.append(day)
                log.error("bulk_day_shrunk", dataset=name, day=day.isoformat(), rows=before.rows)
            elif before is None or (before.data_version, before.is_settled) != (
                wanted,
                day in settled,
            ):
                known[day] = self._build(record, day, is_settled=day in settled).summary
                report.built.append(day)
                self._put_index(name, known.values())
            else:
                report.kept += 1
        report.rows = sum(one.rows for one in known.values())
        return report

    def _build(self, record: type[Record], day: date, *, is_settled: bool) -> Manifest:
        dataset = record.dataset
        table = bulk_table(record, self._about(record, day))
        before = self._shelf.manifest(dataset.name, day)
        with tempfile.TemporaryDirectory(prefix="emdata-bulk-") as folder:
            batches = day_rows(self._warehouse, record, table, day)
            written = write_day(batches, table, dataset.event_time, Path(folder))
            manifest = self._manifest(record, day, table, written, is_settled=is_settled)
            for file, (path, _) in zip(manifest.files, written.files.values(), strict=True):
                self._shelf.put_file(file.key, path)
        self._shelf.put_manifest(manifest)
        # The files before these stay for those who read them; what was before them goes.
        keep = {file.key for one in (before, manifest) if one is not None for file in one.files}
        self._shelf.remove_others(dataset.name, day, keep)
        log.info(
            "bulk_day_built",
            dataset=dataset.name,
            day=day.isoformat(),
            rows=manifest.rows,
            is_settled=is_settled,
        )
        return manifest

    def _manifest(
        self, record: type[Record], day: date, table: Table, written: Written, *, is_settled: bool
    ) -> Manifest:
        dataset = record.dataset
        files = tuple(
            BulkFile(
                name=f"{dataset.name}-{day.isoformat()}.{suffix}",
                key=f"{day_prefix(dataset.name, day)}{sha256[:32]}.{suffix}",
                media_type=MEDIA_TYPES[suffix],
                bytes=path.stat().st_size,
                sha256=sha256,
            )
            for suffix, (path, sha256) in written.files.items()
        )
        return Manifest(
            dataset=dataset.name,
            title=dataset.title,
            day=day,
            built_at=self._clock.now(),
            rows=written.rows,
            is_settled=is_settled,
            is_simulated=self._shelf.is_simulated,
            terms=dataset.terms,
            data_version=data_version(table, written.writers),
            accepted=written.accepted,
            events=written.events,
            writers=written.writers,
            columns=columns_of(table),
            files=files,
        )

    def _about(self, record: type[Record], day: date) -> dict[str, str]:
        about = {
            "title": record.dataset.title,
            "terms": record.dataset.terms,
            "dataset": record.dataset.name,
            "day": day.isoformat(),
            "is_simulated": "true" if self._shelf.is_simulated else "false",
        }
        return {f"emdata:{name}": value for name, value in about.items()}

    def _put_index(self, dataset: str, days: Iterable[DaySummary]) -> None:
        ordered = tuple(sorted(days, key=lambda one: one.day))
        is_simulated = self._shelf.is_simulated
        self._shelf.put_index(Index(dataset=dataset, is_simulated=is_simulated, days=ordered))


def data_version(table: Table, writers: Sequence[WriterRange]) -> str:
    """Return what changes exactly when the rows or the columns do: rows are immutable."""
    parts = msgspec.json.encode((columns_of(table), writers))
    return hashlib.sha256(parts).hexdigest()[:16]


def columns_of(table: Table) -> tuple[BulkColumn, ...]:
    """Return a table's columns as a manifest lists them."""
    return tuple(
        BulkColumn(
            name=one.name,
            type=one.kind,
            description=one.description,
            unit=one.unit,
            is_nullable=one.is_nullable,
        )
        for one in table.columns
    )
