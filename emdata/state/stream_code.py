"""Since when a stream runs under which code: what makes it worthwhile to parse a row again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.state.database import transaction
from emdata.state.tables import stream_code


def note_code(engine: Engine, stream: str, code: str, now: datetime) -> bool:
    """Remember since when a stream runs under this code; whether it is new."""
    with transaction(engine) as connection:
        if code_at(connection, stream, None) == code:
            return False
        connection.execute(
            insert(stream_code).values(stream=stream, since=now, code=code).on_conflict_do_nothing()
        )
        return True


def code_at(connection: Connection, stream: str, at: datetime | None) -> str | None:
    """Return the code of a stream at an instant, or now; None when it is not known."""
    query = sa.select(stream_code.c.code).where(stream_code.c.stream == stream)
    if at is not None:
        query = query.where(stream_code.c.since <= at)
    found = connection.execute(query.order_by(stream_code.c.since.desc()).limit(1)).scalar()
    return None if found is None else str(found)
