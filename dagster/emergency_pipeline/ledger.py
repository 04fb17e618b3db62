"""What Dagster reads from the ledger in PostgreSQL: landed positions and what a poll accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.state.database import transaction
from emdata.state.tables import landed, poll_datasets


@dataclass(frozen=True, slots=True)
class Position:
    """How far one dataset of one writer has landed; instants are aware UTC.

    ``settled_seq``: everything up to it has landed or is a dead letter.
    """

    writer: int
    dataset: str
    high_seq: int
    settled_seq: int
    landed: int
    dead: int
    on_the_way: int
    newest_event_at: datetime | None
    newest_landed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Records that a poll put into the buffer for one dataset, up to ``last_seq``."""

    writer: int
    dataset: str
    last_seq: int
    records: int


def read_positions(engine: Engine) -> list[Position]:
    """Return the landed positions; raises StateUnavailable when PostgreSQL is away."""
    columns = [landed.c[name] for name in Position.__dataclass_fields__]
    with transaction(engine) as connection:
        rows = connection.execute(sa.select(*columns).order_by(landed.c.dataset, landed.c.writer))
        return [Position(**dict(row)) for row in rows.mappings()]


def read_accepted(engine: Engine, poll_ids: Iterable[str]) -> list[Accepted]:
    """Return what the named polls accepted; polls that accepted nothing are left out."""
    columns = poll_datasets.c
    query = sa.select(
        columns.writer, columns.dataset, columns.last_seq, columns.accepted.label("records")
    ).where(columns.poll_id.in_(list(poll_ids)), columns.accepted > 0)
    with transaction(engine) as connection:
        return [Accepted(**dict(row)) for row in connection.execute(query).mappings()]


def not_landed(accepted: Iterable[Accepted], positions: Iterable[Position]) -> list[Accepted]:
    """Return those whose last record is not yet settled."""
    settled = {(p.writer, p.dataset): p.settled_seq for p in positions}
    return [a for a in accepted if settled.get((a.writer, a.dataset), 0) < a.last_seq]


def rows_landed(positions: Iterable[Position]) -> dict[str, int]:
    """Return the landed rows per dataset over all writers.

    The count only grows (tables are immutable rows), so it serves as a mark of progress.
    """
    rows: dict[str, int] = {}
    for position in positions:
        rows[position.dataset] = rows.get(position.dataset, 0) + position.landed
    return rows


def with_new_rows(rows: Mapping[str, int], built: Mapping[str, int]) -> list[str]:
    """Return the datasets that have more, or fewer, rows than when they were last built.

    Fewer happens after old partitions are dropped, and is a reason to build as well.
    """
    return sorted(name for name, count in rows.items() if count and count != built.get(name, 0))
