"""A privileged change: who makes it and when; it notes itself in the audit chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from emdata.state.audit_chain import Entry, Tail, append


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes something, when, and the key of the audit chain."""

    actor: str
    now: datetime
    key: bytes = field(repr=False)

    def note(self, connection: Connection, act: str, subject: str, **details: Any) -> Tail:
        """Append the entry to the chain, in the transaction of the change."""
        entry = Entry(self.actor, act, subject, details)
        return append(connection, [entry], now=self.now, key=self.key)
