"""The audit trail: always in the log at once, and in PostgreSQL as soon as it can be reached."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.state.audit import AuditEntry
from emdata.telemetry import get_logger

log = get_logger(__name__)
KEPT = 1000
RETRY_S = 10.0
STOP_S = 1.0


class AuditTrail:
    """Thread ``audit``. ``note`` never waits for PostgreSQL.

    store: writes entries or raises StateUnavailable. Beyond KEPT entries that wait for PostgreSQL
    the oldest stay in the log only.
    """

    def __init__(
        self, writer: int, clock: Clock, store: Callable[[Sequence[AuditEntry]], None]
    ) -> None:
        self._writer, self._clock, self._store = writer, clock, store
        self._waiting: deque[AuditEntry] = deque(maxlen=KEPT)
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Start storing."""
        self._thread.start()

    def stop(self) -> None:
        """Store what waits if PostgreSQL answers at once."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def waiting(self) -> int:
        """Return how many entries PostgreSQL does not have yet."""
        return len(self._waiting)

    def note(self, event: str, subject: str, **details: Any) -> None:
        """Record an event; ``details`` are plain JSON values."""
        entry = AuditEntry(
            uuid.uuid4().hex, self._writer, self._clock.now(), event, subject, details
        )
        log.warning("audit", entry=entry.id, audited=event, subject=subject, **details)
        self._waiting.append(entry)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            is_stored = self._store_waiting()
            if self._stop.is_set():
                return
            if not is_stored:
                self._stop.wait(RETRY_S)
                self._wake.set()

    def _store_waiting(self) -> bool:
        entries = list(self._waiting)
        if not entries:
            return True
        try:
            self._store(entries)
        except StateUnavailable as error:
            log.info("audit_waits_for_state", entries=len(entries), error=str(error)[:200])
            return False
        stored = {entry.id for entry in entries}
        while self._waiting and self._waiting[0].id in stored:
            self._waiting.popleft()
        return True
