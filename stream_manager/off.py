"""Streams that cannot run, such as for want of a key: registered, so that status shows them off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.state.database import connect
from emdata.state.reads import register_streams
from emdata.telemetry import get_logger

log = get_logger(__name__)
_WAIT_FIRST, _WAIT_LONGEST = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class OffStream:
    """A stream that is not started, and why not."""

    name: str
    source: str
    datasets: tuple[str, ...]
    every_seconds: float
    reason: str

    def registration(self, writer: int, clock: Clock) -> dict[str, Any]:
        """Return the row that says so."""
        return {
            "stream": self.name,
            "source": self.source,
            "writer": writer,
            "datasets": list(self.datasets),
            "every_seconds": max(1, round(self.every_seconds)),
            "is_on": False,
            "updated_at": clock.now(),
        }


async def register_off(dsn: str, writer: int, streams: Sequence[OffStream], clock: Clock) -> None:
    """Register the streams as off; waits as long as PostgreSQL is away."""
    for stream in streams:
        log.warning("stream_off", stream=stream.name, reason=stream.reason)
    if not streams:
        return
    engine, wait = connect(dsn), _WAIT_FIRST
    rows = [stream.registration(writer, clock) for stream in streams]
    try:
        while True:
            try:
                await asyncio.to_thread(register_streams, engine, rows)
            except StateUnavailable as error:
                log.warning("waiting_for_state", error=str(error)[:200])
                await asyncio.sleep(wait)
                wait = min(wait * 2, _WAIT_LONGEST)
            else:
                return
    finally:
        engine.dispose()
