"""Leases of writers: which stream manager may run, by the clock of the database.

A lease invites and tells; what keeps a second manager out is the fence at the buffer. Every
statement gives up after two seconds, so that a database that hangs is one that is away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.state.database import transaction
from emdata.state.tables import leases

_PATIENCE = sa.text("SET LOCAL statement_timeout = '2s'")


@dataclass(frozen=True, slots=True)
class Lease:
    """One writer's lease; ``is_expired`` was said by the database. Instants are aware, UTC.

    standby is who waited last for its end, and when that one was seen.
    """

    writer: int
    holder: str
    epoch: int
    expires: datetime
    is_expired: bool
    standby: str | None
    standby_seen_at: datetime | None


def take_lease(
    engine: Engine, writer: int, holder: str, seconds: float, *, is_forced: bool = False
) -> Lease | None:
    """Take a lease that has expired, or is ours, under the next epoch; None when it runs.

    ``is_forced`` is for who holds the buffer's lock, against which no lease stands.
    Raises StateUnavailable.
    """
    statement = insert(leases).values(writer=writer, holder=holder, epoch=1, expires=_in(seconds))
    is_free = (leases.c.expires <= sa.func.clock_timestamp()) | (leases.c.holder == holder)
    return _one(
        engine,
        statement.on_conflict_do_update(
            index_elements=[leases.c.writer],
            set_={"holder": holder, "epoch": leases.c.epoch + 1, "expires": _in(seconds)},
            where=None if is_forced else is_free,
        ).returning(*_COLUMNS),
    )


def renew_lease(
    engine: Engine, writer: int, holder: str, seconds: float, *, epoch: int
) -> Lease | None:
    """Renew our lease and note the log's epoch; None when another holder has it.

    Raises StateUnavailable.
    """
    return _one(
        engine,
        leases.update()
        .where(leases.c.writer == writer, leases.c.holder == holder)
        .values(expires=_in(seconds), epoch=sa.func.greatest(leases.c.epoch, epoch))
        .returning(*_COLUMNS),
    )


def release_lease(engine: Engine, writer: int, holder: str) -> None:
    """Let our lease end now. Raises StateUnavailable."""
    with transaction(engine) as connection:
        connection.execute(_PATIENCE)
        connection.execute(
            leases.update()
            .where(leases.c.writer == writer, leases.c.holder == holder)
            .values(expires=sa.func.clock_timestamp())
        )


def look_at_lease(engine: Engine, writer: int, standby: str) -> Lease | None:
    """Return a writer's lease and note that ``standby`` waits; None when there is none yet.

    Raises StateUnavailable.
    """
    return _one(
        engine,
        leases.update()
        .where(leases.c.writer == writer)
        .values(standby=standby, standby_seen_at=sa.func.clock_timestamp())
        .returning(*_COLUMNS),
    )


_COLUMNS = (
    leases.c.writer,
    leases.c.holder,
    leases.c.epoch,
    leases.c.expires,
    (leases.c.expires <= sa.func.clock_timestamp()).label("is_expired"),
    leases.c.standby,
    leases.c.standby_seen_at,
)


def _in(seconds: float) -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp() + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _one(engine: Engine, statement: sa.Executable) -> Lease | None:
    with transaction(engine) as connection:
        connection.execute(_PATIENCE)
        row = connection.execute(statement).mappings().first()
    return None if row is None else Lease(**row)
