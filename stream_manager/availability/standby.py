"""A manager that waits: it takes a writer's buffer over when its holder is gone.

It takes over when the lease has expired by the database's clock, and either the buffer's lock is
free (the holder died) or the holder shows no life in the shared directory for one and a half leases
(it was stopped, or its machine hangs). A holder that lost only PostgreSQL goes on showing life,
and while the standby itself cannot reach PostgreSQL it takes nothing over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from emdata.clock import Clock, Monotonic
from emdata.errors import StateUnavailable
from emdata.state.leases import Lease, look_at_lease, release_lease, take_lease
from emdata.telemetry import get_logger
from stream_manager.availability.fence import BufferInUse, Claim, Sighting, claim, sight

log = get_logger(__name__)
SILENT_LEASES = 1.5  # how many leases' time a holder that keeps its lock must be silent
LOOKS = 6  # within the life of a lease


class Standby:
    """``look`` again and again, every ``interval`` seconds, until it returns the claim."""

    def __init__(
        self, base: Path, engine: Engine, writer: int, *, holder: str, seconds: float, clock: Clock
    ) -> None:
        self._base, self._engine, self._writer = base, engine, writer
        self._holder, self._seconds, self._clock = holder, seconds, clock
        self._seen: tuple[int, int] | None = None
        self._changed_at = clock.monotonic()
        self._lease: Lease | None = None
        self._is_reachable = True
        self.interval = seconds / LOOKS

    def row(self) -> dict[str, Any]:
        """Return what the status page says about the role."""
        lease = self._lease
        return {
            "role": "standby",
            "holder": self._holder,
            "active": None if lease is None else lease.holder,
            "lease_epoch": None if lease is None else lease.epoch,
            "lease_expires": None if lease is None else lease.expires.isoformat(),
            "is_state_reachable": self._is_reachable,
            "silent_seconds": round(self._clock.monotonic() - self._changed_at, 1),
        }

    def look(self) -> Claim | None:
        """Look once; returns the claim when the buffer is ours now, else None."""
        try:
            found = self._sight()
            self._lease = look_at_lease(self._engine, self._writer, self._holder)
            self._is_reachable = True
            if self._may_take(found):
                return self._take(found)
        except StateUnavailable as error:
            if self._is_reachable:
                log.warning("standby_cannot_reach_state", error=str(error)[:200])
            self._is_reachable = False
        except OSError as error:
            log.warning("standby_cannot_see_buffer", error=str(error))
        return None

    def _sight(self) -> Sighting:
        found = sight(self._base)
        if (found.turn, found.pulse_ns) != self._seen:
            self._seen = (found.turn, found.pulse_ns)
            self._changed_at = self._clock.monotonic()
        return found

    def _may_take(self, found: Sighting) -> bool:
        if self._lease is not None and not self._lease.is_expired:
            return False
        silent = Monotonic(self._clock.monotonic() - self._changed_at)
        return not found.is_locked or silent >= SILENT_LEASES * self._seconds

    def _take(self, found: Sighting) -> Claim | None:
        lease = take_lease(self._engine, self._writer, self._holder, self._seconds)
        if lease is None:
            return None  # another standby was quicker, or the holder is back
        try:
            even_from = found.turn if found.is_locked else None
            taken = claim(self._base, even_from=even_from, is_takeover=True)
        except BufferInUse as error:
            log.info("takeover_given_up", reason=str(error))
            release_lease(self._engine, self._writer, self._holder)
            return None
        log.warning(
            "taken_over",
            writer=self._writer,
            turn=taken.turn,
            was_locked=found.is_locked,
            silent_seconds=round(self._clock.monotonic() - self._changed_at, 2),
        )
        return taken
