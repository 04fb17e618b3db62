"""Audit entries: what happened that somebody must be able to look up later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.state.database import transaction
from emdata.state.tables import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event about one subject (a source, a queue); ``id`` makes storing it twice harmless."""

    id: str
    writer: int
    happened_at: datetime
    event: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)


def store_audit(engine: Engine, entries: Iterable[AuditEntry]) -> None:
    """Store entries that are not there yet.

    Raises StateUnavailable when PostgreSQL is away.
    """
    with transaction(engine) as connection:
        for entry in entries:
            connection.execute(insert(audit).values(asdict(entry)).on_conflict_do_nothing())


def audit_entries(engine: Engine, *, limit: int = 100) -> list[AuditEntry]:
    """Return the newest entries, newest first."""
    query = sa.select(audit).order_by(audit.c.happened_at.desc(), audit.c.id).limit(limit)
    with transaction(engine) as connection:
        return [AuditEntry(**row) for row in connection.execute(query).mappings()]
