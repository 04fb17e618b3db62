"""The freshness of every stream, judged anew every few seconds and kept for status and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.state.freshness import STATES, StreamFreshness, freshness
from stream_manager import metrics

EVERY_SECONDS = 5.0


class FreshnessWatch:
    """Belongs to the ledger's thread; ``rows`` may be asked from any."""

    def __init__(self, engine: Engine, records: Mapping[str, type[Record]], clock: Clock) -> None:
        self._engine, self._records, self._clock = engine, records, clock
        self._found: list[StreamFreshness] = []
        self._judged_at = float("-inf")

    def look(self) -> None:
        """Judge the streams when the last judgment is old enough.

        Raises StateUnavailable when PostgreSQL is away; then the last judgment stays.
        """
        now = self._clock.monotonic()
        if now - self._judged_at < EVERY_SECONDS:
            return
        self._found = freshness(self._engine, self._records, self._clock.now())
        self._judged_at = now
        for one in self._found:
            for state in STATES:
                metrics.FRESHNESS.labels(one.stream, state).set(int(state == one.state))

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain row a stream: state, why, and the three clocks as UTC texts."""
        return [
            {
                "stream": one.stream,
                "state": one.state,
                "why": one.why,
                "last_poll_at": _text(one.last_poll_at),
                "newest_event_at": _text(one.newest_event_at),
                "last_landed_at": _text(one.last_landed_at),
            }
            for one in self._found
        ]


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
