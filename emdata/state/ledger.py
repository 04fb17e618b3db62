"""The ledger on the way: what was accepted, what landed, what died, what is between.

Per writer and dataset, exact at any instant: fix S, the highest sequence number in the log; then
``S = landed + dead after acceptance + on the way``, where landed counts rows with seq <= S. The
table's key removes redelivery, so a row counts once however often it came.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.contracts.base import Record
from emdata.derive.starrocks import quote, raw_table
from emdata.state.database import transaction
from emdata.state.tables import dead_letters, landed, ledger_hours, poll_datasets, polls
from emdata.warehouse import Warehouse

DEAD = ("open", "dropped")  # a letter that is sent again is on the way, or has landed


@dataclass(frozen=True, slots=True)
class Balance:
    """One writer's ledger of one dataset; newest_event_at as the table has it (UTC)."""

    writer: int
    dataset: str
    high_seq: int
    settled_seq: int
    landed: int
    dead: int
    newest_event_at: datetime | None
    newest_landed_at: datetime | None

    @property
    def on_the_way(self) -> int:
        """Accepted, neither landed nor dead."""
        return self.high_seq - self.landed - self.dead


@dataclass(frozen=True, slots=True)
class HourRow:
    """The ledger of a source's dataset in one hour of polls (UTC)."""

    hour: datetime
    source: str
    dataset: str
    polls: int
    records: int
    unchanged: int
    rejected: int
    deferred: int
    accepted: int
    is_settled: bool


def settle(
    engine: Engine,
    warehouse: Warehouse,
    record: type[Record],
    writer: int,
    high_seq: int,
    *,
    now: datetime,
    since: Balance | None = None,
    marks: Sequence[int] = (),
) -> Balance:
    """Count a dataset's landed and dead records up to ``high_seq`` and store the balance.

    With ``since``, only what lies above its ``settled_seq`` is counted, because everything up to
    there has landed or died; without, the whole table is, and a table that lost rows is open
    again. ``marks`` are lower sequence numbers that may be settled although ``high_seq`` is not:
    under a steady flow something is always on the way.
    Raises StateUnavailable or a WarehouseError; then the stored balance stays what it was.
    """
    name = record.dataset.name
    with transaction(engine) as connection:
        dead = _dead_seqs(connection, name, writer, high_seq)
        before = connection.execute(
            sa.select(landed.c.settled_seq).where(
                landed.c.writer == writer, landed.c.dataset == name
            )
        ).scalar()
    if since is not None and len(dead) < since.dead:
        since = None  # one was sent again: what had died below is on the way until it is counted
    above = 0 if since is None else min(since.settled_seq, high_seq)
    ends = sorted({high_seq, *(m for m in (*marks, int(before or 0)) if above < m < high_seq)})
    counted = _count_landed(warehouse, record, writer, above, ends)
    dead_below = bisect_right(dead, above)
    settled_seq = above
    for end, rows in zip(ends, counted.landed, strict=True):
        if above + rows + bisect_right(dead, end) - dead_below == end:
            settled_seq = end
    balance = Balance(
        writer=writer,
        dataset=name,
        high_seq=high_seq,
        settled_seq=settled_seq,
        landed=above - dead_below + counted.landed[-1],
        dead=len(dead),
        newest_event_at=_newest(
            counted.newest_event, None if since is None else since.newest_event_at
        ),
        newest_landed_at=_newest(
            counted.newest_accepted, None if since is None else since.newest_landed_at
        ),
    )
    _store(engine, balance, now)
    return balance


def missing_seqs(
    engine: Engine,
    warehouse: Warehouse,
    record: type[Record],
    writer: int,
    *,
    above: int,
    high_seq: int,
) -> list[int]:
    """Name the accepted sequence numbers in (above, high_seq] that neither landed nor died."""
    rows = warehouse.query(
        f"SELECT seq FROM {raw_table(record)} WHERE writer = %s AND seq > %s AND seq <= %s",
        (writer, above, high_seq),
    )
    with transaction(engine) as connection:
        seqs: Iterable[int | None] = connection.execute(
            sa.select(dead_letters.c.seq).where(
                dead_letters.c.dataset == record.dataset.name,
                dead_letters.c.writer == writer,
                dead_letters.c.seq > above,
                dead_letters.c.seq <= high_seq,
                dead_letters.c.state.in_(DEAD),
            )
        ).scalars()
        gone = {int(row["seq"]) for row in rows} | {int(seq) for seq in seqs if seq is not None}
    return [seq for seq in range(above + 1, high_seq + 1) if seq not in gone]


def balances(engine: Engine) -> list[dict[str, Any]]:
    """Return every stored balance, by dataset and writer."""
    with transaction(engine) as connection:
        rows = connection.execute(sa.select(landed).order_by(landed.c.dataset, landed.c.writer))
        return [dict(row) for row in rows.mappings()]


def hours(engine: Engine, *, since: datetime) -> list[HourRow]:
    """Return the ledger by hour of poll, source and dataset, newest first.

    An hour is settled when every record accepted in it has landed or died; never estimated. Polls
    that are no longer kept one by one were settled when they were summed up.
    """
    names = ("records", "unchanged", "rejected", "deferred", "accepted")
    settled = sa.func.bool_and(
        (poll_datasets.c.last_seq.is_(None))
        | (poll_datasets.c.last_seq <= sa.func.coalesce(landed.c.settled_seq, 0))
    )
    kept = (
        sa.select(
            polls.c.hour,
            polls.c.source,
            poll_datasets.c.dataset,
            sa.func.count().label("polls"),
            *(sa.func.sum(poll_datasets.c[name]).label(name) for name in names),
            settled.label("is_settled"),
        )
        .join(poll_datasets, poll_datasets.c.poll_id == polls.c.poll_id)
        .outerjoin(
            landed,
            (landed.c.writer == poll_datasets.c.writer)
            & (landed.c.dataset == poll_datasets.c.dataset),
        )
        .where(polls.c.hour >= since)
        .group_by(polls.c.hour, polls.c.source, poll_datasets.c.dataset)
    )
    summed = sa.select(
        *(ledger_hours.c[name] for name in ("hour", "source", "dataset", "polls", *names)),
        sa.true().label("is_settled"),
    ).where(ledger_hours.c.hour >= since, ledger_hours.c.dataset != "")
    both = sa.union_all(kept, summed).subquery()
    query = (
        sa.select(
            both.c.hour,
            both.c.source,
            both.c.dataset,
            *(
                sa.cast(sa.func.sum(both.c[name]), sa.BigInteger).label(name)
                for name in ("polls", *names)
            ),
            sa.func.bool_and(both.c.is_settled).label("is_settled"),
        )
        .group_by(both.c.hour, both.c.source, both.c.dataset)
        .order_by(both.c.hour.desc(), both.c.source, both.c.dataset)
    )
    with transaction(engine) as connection:
        return [HourRow(**row) for row in connection.execute(query).mappings()]


def is_landed(engine: Engine, poll_ids: Sequence[str]) -> bool:
    """Whether everything these polls accepted has landed or died."""
    query = (
        sa.select(sa.func.count())
        .select_from(poll_datasets)
        .outerjoin(
            landed,
            (landed.c.writer == poll_datasets.c.writer)
            & (landed.c.dataset == poll_datasets.c.dataset),
        )
        .where(
            poll_datasets.c.poll_id.in_(poll_ids),
            poll_datasets.c.last_seq > sa.func.coalesce(landed.c.settled_seq, 0),
        )
    )
    with transaction(engine) as connection:
        return int(connection.execute(query).scalar_one()) == 0


@dataclass(frozen=True, slots=True)
class _Counted:
    landed: list[int]
    newest_event: datetime | None
    newest_accepted: datetime | None


def _count_landed(
    warehouse: Warehouse, record: type[Record], writer: int, above: int, ends: Sequence[int]
) -> _Counted:
    """Count the rows with seq in (above, end] for every one of the ascending ``ends``."""
    event = quote(record.dataset.event_time)
    sums = "".join(
        f" SUM(CASE WHEN seq <= {int(end)} THEN 1 ELSE 0 END) AS landed_{index},"
        for index, end in enumerate(ends)
    )
    (row,) = warehouse.query(
        f"SELECT{sums} MAX({event}) AS newest_event, MAX(accepted_at) AS newest_accepted"
        f" FROM {raw_table(record)} WHERE writer = %s AND seq > %s AND seq <= %s",
        (writer, above, ends[-1]),
    )
    return _Counted(
        [int(row[f"landed_{index}"] or 0) for index in range(len(ends))],
        _aware(row["newest_event"]),
        _aware(row["newest_accepted"]),
    )


def _dead_seqs(connection: Connection, dataset: str, writer: int, high_seq: int) -> list[int]:
    """Return the sequence numbers that died after acceptance, ascending."""
    seqs = connection.execute(
        sa.select(dead_letters.c.seq)
        .where(
            dead_letters.c.dataset == dataset,
            dead_letters.c.writer == writer,
            dead_letters.c.seq <= high_seq,
            dead_letters.c.state.in_(DEAD),
        )
        .order_by(dead_letters.c.seq)
    )
    return [int(row[0]) for row in seqs]


def _newest(found: datetime | None, known: datetime | None) -> datetime | None:
    return max((at for at in (found, known) if at is not None), default=None)


def _aware(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


def _store(engine: Engine, balance: Balance, now: datetime) -> None:
    values = {
        "writer": balance.writer,
        "dataset": balance.dataset,
        "high_seq": balance.high_seq,
        "settled_seq": balance.settled_seq,
        "landed": balance.landed,
        "dead": balance.dead,
        "on_the_way": balance.on_the_way,
        "newest_event_at": balance.newest_event_at,
        "newest_landed_at": balance.newest_landed_at,
        "checked_at": now,
    }
    statement = insert(landed).values(values)
    with transaction(engine) as connection:
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[landed.c.writer, landed.c.dataset], set_=values
            )
        )
