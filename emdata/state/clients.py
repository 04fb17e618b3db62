"""Clients that write to Kafka themselves: their numbers as writers, and what they accepted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.state.database import transaction
from emdata.state.tables import poll_datasets, writers

FIRST_CLIENT = 100_000
"""Writers from here on are clients; a manager's number is a setting below."""
_LOCK = 7_263_002  # one new number at a time


def new_client(engine: Engine, name: str, *, is_simulated: bool, now: datetime) -> int:
    """Register a client that never wrote before and return its number as a writer.

    Raises StateUnavailable.
    """
    with transaction(engine) as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        highest = connection.execute(sa.select(sa.func.max(writers.c.writer))).scalar() or 0
        writer = max(int(highest) + 1, FIRST_CLIENT)
        connection.execute(
            writers.insert().values(
                writer=writer,
                epoch=0,
                is_simulated=is_simulated,
                started_at=now,
                heartbeat_at=now,
                kind="client",
                name=name,
            )
        )
    return writer


def note_client(engine: Engine, writer: int, *, epoch: int, now: datetime) -> None:
    """Note that a client's log was opened, or worked on. Raises StateUnavailable."""
    started = sa.case((writers.c.epoch == epoch, writers.c.started_at), else_=now)
    with transaction(engine) as connection:
        connection.execute(
            writers.update()
            .where(writers.c.writer == writer)
            .values(epoch=epoch, heartbeat_at=now, started_at=started)
        )


def client_names(engine: Engine) -> dict[int, str]:
    """Return the clients' names by writer. Raises StateUnavailable."""
    query = sa.select(writers.c.writer, writers.c.name).where(writers.c.kind == "client")
    with transaction(engine) as connection:
        return {int(row[0]): str(row[1]) for row in connection.execute(query)}


def client_high_seqs(engine: Engine) -> dict[tuple[int, str], int]:
    """Return the highest accepted number by client and dataset, as its polls say.

    A client's COMMIT frames carry their ranges, so what it accepted is known here as soon as they
    are applied. Raises StateUnavailable.
    """
    query = (
        sa.select(
            poll_datasets.c.writer, poll_datasets.c.dataset, sa.func.max(poll_datasets.c.last_seq)
        )
        .where(poll_datasets.c.writer >= FIRST_CLIENT, poll_datasets.c.last_seq.is_not(None))
        .group_by(poll_datasets.c.writer, poll_datasets.c.dataset)
    )
    with transaction(engine) as connection:
        return {(int(row[0]), str(row[1])): int(row[2]) for row in connection.execute(query)}
