"""What has landed of a dataset, by day, and which days can get no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.bulk.manifest import WriterRange
from emdata.contracts.base import Record
from emdata.derive.starrocks import raw_table
from emdata.state.database import transaction
from emdata.state.tables import landed, poll_datasets, polls
from emdata.warehouse import Warehouse

GRACE = timedelta(hours=1)
"""A poll that began before midnight may accept after it, and its COMMIT may be applied later."""


def landed_days(warehouse: Warehouse, record: type[Record]) -> dict[date, tuple[WriterRange, ...]]:
    """Return what StarRocks has of each day of acceptance; raises as Warehouse does."""
    rows = warehouse.query(
        "SELECT accepted_on, writer, COUNT(*) AS row_count, MIN(seq) AS first_seq,"
        f" MAX(seq) AS last_seq FROM {raw_table(record)}"
        " GROUP BY accepted_on, writer ORDER BY accepted_on, writer"
    )
    days: dict[date, list[WriterRange]] = {}
    for row in rows:
        days.setdefault(row["accepted_on"], []).append(
            WriterRange(
                writer=int(row["writer"]),
                rows=int(row["row_count"]),
                first_seq=int(row["first_seq"]),
                last_seq=int(row["last_seq"]),
            )
        )
    return {day: tuple(ranges) for day, ranges in days.items()}


def settled_days(
    engine: Engine,
    dataset: str,
    days: Mapping[date, Iterable[WriterRange]],
    now: datetime,
) -> set[date]:
    """Return the days of which everything accepted has landed or died.

    A day counts when it is over by GRACE and no writer has something on the way among what polls
    accepted that began before its end. Raises StateUnavailable.
    """
    over = {day: ranges for day, ranges in days.items() if now >= _end(day) + GRACE}
    if not over:
        return set()
    with transaction(engine) as connection:
        query = sa.select(landed.c.writer, landed.c.settled_seq).where(landed.c.dataset == dataset)
        settled = {int(row[0]): int(row[1]) for row in connection.execute(query)}
        waiting = (
            sa.select(sa.func.min(polls.c.started_at))
            .select_from(poll_datasets.join(polls, polls.c.poll_id == poll_datasets.c.poll_id))
            .outerjoin(
                landed,
                (landed.c.writer == poll_datasets.c.writer)
                & (landed.c.dataset == poll_datasets.c.dataset),
            )
            .where(
                poll_datasets.c.dataset == dataset,
                poll_datasets.c.last_seq > sa.func.coalesce(landed.c.settled_seq, 0),
            )
        )
        oldest_waiting: datetime | None = connection.execute(waiting).scalar()
    return {
        day
        for day, ranges in over.items()
        if (oldest_waiting is None or oldest_waiting >= _end(day))
        and all(one.last_seq <= settled.get(one.writer, 0) for one in ranges)
    }


def _end(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
