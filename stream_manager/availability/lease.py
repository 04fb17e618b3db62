"""What an active manager does to stay it: shows that it lives, renews its lease, sees its fence.

Two threads, because the sign of life must not wait for PostgreSQL. Loss of PostgreSQL stops
nothing: the sign of life in the shared directory keeps a standby from taking over.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.errors import BufferUnavailable, StateUnavailable
from emdata.state.leases import Lease, release_lease, renew_lease, take_lease
from emdata.telemetry import get_logger
from stream_manager.availability.fence import Claim, Fenced

log = get_logger(__name__)
RENEWALS = 3  # within the life of a lease
STOP_SECONDS = 3.0


def holder_name() -> str:
    """Return a name for this process that no other one has, or ever had."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class LeaseKeeper:
    """Threads ``pulse`` and ``lease``; ``on_fenced`` is called once, on one of them."""

    def __init__(
        self,
        claim: Claim,
        engine: Engine,
        writer: int,
        *,
        holder: str,
        seconds: float,
        epoch: Callable[[], int],
        on_fenced: Callable[[Fenced], None],
    ) -> None:
        self._claim, self._engine, self._writer = claim, engine, writer
        self.holder = holder
        self._seconds, self._epoch, self._on_fenced = seconds, epoch, on_fenced
        self._stop = threading.Event()
        self._lease: Lease | None = None
        self._is_reachable = True
        self._threads = [
            threading.Thread(target=self._pulse, name="pulse", daemon=True),
            threading.Thread(target=self._keep, name="lease", daemon=True),
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the lease, so that a standby need not wait for it, and the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        if self._lease is None:
            return
        try:
            release_lease(self._engine, self._writer, self.holder)
        except (StateUnavailable, SQLAlchemyError) as error:
            log.warning("lease_not_released", error=str(error)[:200])

    def row(self) -> dict[str, Any]:
        """Return what the status page says about the role."""
        lease = self._lease
        seen_at = None if lease is None else lease.standby_seen_at
        return {
            "role": "active",
            "holder": self.holder,
            "turn": self._claim.turn,
            "is_lease_held": lease is not None and self._is_reachable,
            "lease_epoch": None if lease is None else lease.epoch,
            "standby": None if lease is None else lease.standby,
            "standby_seen_at": None if seen_at is None else seen_at.isoformat(),
        }

    def _pulse(self) -> None:
        while not self._stop.is_set():
            try:
                self._claim.check()
                self._claim.pulse()
            except Fenced as error:
                log.critical("fenced", error=str(error))
                self._on_fenced(error)
                return
            except (BufferUnavailable, OSError) as error:
                log.warning("pulse_not_shown", error=str(error))
            self._stop.wait(self._seconds / RENEWALS)

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self._renew()
                self._is_reachable = True
            except (StateUnavailable, SQLAlchemyError) as error:
                if self._is_reachable:
                    log.warning("lease_not_renewed", error=str(error)[:200])
                self._is_reachable = False
            self._stop.wait(self._seconds / RENEWALS)

    def _renew(self) -> None:
        args = (self._engine, self._writer, self.holder, self._seconds)
        if self._lease is None:
            # Whoever has the buffer has the right; a lease of a holder before us is past.
            self._lease = take_lease(*args, is_forced=True)
            return
        renewed = renew_lease(*args, epoch=self._epoch())
        if renewed is None:
            # Another manager took the lease and has not fenced us: the fence decides, so wait.
            log.warning("lease_lost", writer=self._writer)
            renewed = take_lease(*args)
        self._lease = renewed or self._lease
