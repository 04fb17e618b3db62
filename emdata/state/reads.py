"""What the stream manager reads from PostgreSQL when it starts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.state.database import transaction
from emdata.state.tables import cursors, landed, poll_datasets, seen, streams, writers


def load_cursor(engine: Engine, stream: str) -> dict[str, Any]:
    """Return a stream's cursor; empty before its first complete poll."""
    with transaction(engine) as connection:
        row = connection.execute(
            sa.select(cursors.c.cursor).where(cursors.c.stream == stream)
        ).first()
    return dict(row[0]) if row else {}


def load_seen(engine: Engine, dataset: str) -> dict[bytes, bytes]:
    """Return content hash by key hash of a dataset."""
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.select(seen.c.key_hash, seen.c.content_hash).where(seen.c.dataset == dataset)
        )
        return {bytes(row.key_hash): bytes(row.content_hash) for row in rows}


def load_contents(engine: Engine, dataset: str, key_hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return content hash by key hash for those keys of a dataset that were accepted before."""
    query = sa.select(seen.c.key_hash, seen.c.content_hash).where(
        seen.c.dataset == dataset, seen.c.key_hash.in_(list(key_hashes))
    )
    with transaction(engine) as connection:
        return {bytes(row[0]): bytes(row[1]) for row in connection.execute(query)}


def load_high_seqs(engine: Engine, writer: int) -> dict[str, int]:
    """Return the highest sequence number PostgreSQL knows per dataset of a writer."""
    with transaction(engine) as connection:
        queries = (
            sa.select(seen.c.dataset, sa.func.max(seen.c.seq))
            .where(seen.c.writer == writer)
            .group_by(seen.c.dataset),
            sa.select(poll_datasets.c.dataset, sa.func.max(poll_datasets.c.last_seq))
            .where(poll_datasets.c.writer == writer, poll_datasets.c.last_seq.is_not(None))
            .group_by(poll_datasets.c.dataset),
            sa.select(landed.c.dataset, landed.c.high_seq).where(landed.c.writer == writer),
        )
        high: dict[str, int] = {}
        for query in queries:
            for row in connection.execute(query):
                high[str(row[0])] = max(high.get(str(row[0]), 0), int(row[1]))
    return high


def streams_of_others(engine: Engine, writer: int) -> set[str]:
    """Return the streams that other writers registered and have switched on."""
    query = sa.select(streams.c.stream).where(streams.c.writer != writer, streams.c.is_on)
    with transaction(engine) as connection:
        return {str(row[0]) for row in connection.execute(query)}


def streams_switched_off(engine: Engine) -> set[str]:
    """Return the streams that are registered and off, such as for want of a key."""
    query = sa.select(streams.c.stream).where(sa.not_(streams.c.is_on))
    with transaction(engine) as connection:
        return {str(row[0]) for row in connection.execute(query)}


def register_writer(
    engine: Engine, writer: int, *, epoch: int, is_simulated: bool, now: datetime
) -> None:
    """Say that a writer runs; also its heartbeat."""
    statement = insert(writers).values(
        writer=writer,
        epoch=epoch,
        is_simulated=is_simulated,
        started_at=now,
        heartbeat_at=now,
    )
    with transaction(engine) as connection:
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[writers.c.writer],
                set_={
                    "epoch": epoch,
                    "heartbeat_at": now,
                    "started_at": sa.case(
                        (writers.c.epoch == epoch, writers.c.started_at), else_=now
                    ),
                },
            )
        )


def register_streams(engine: Engine, rows: Iterable[dict[str, Any]]) -> None:
    """Store which streams a writer runs: keys stream, source, writer, datasets, every_seconds,
    is_on, updated_at."""
    with transaction(engine) as connection:
        for row in rows:
            statement = insert(streams).values(row)
            connection.execute(
                statement.on_conflict_do_update(index_elements=[streams.c.stream], set_=row)
            )
