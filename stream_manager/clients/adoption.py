"""Finishing what clients began while the manager was away, and telling who they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.clock import Clock
from emdata.errors import EmdataError, StateUnavailable
from emdata.state.clients import client_high_seqs, client_names
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.availability.fence import BufferInUse, sight
from stream_manager.clients.client import client_buffers
from stream_manager.clients.clients import UNFINISHED, ClientLog

log = get_logger(__name__)
LOOK_SECONDS = 5.0
FINISH_SECONDS = 60.0


class ClientKeeper:
    """Thread ``clients``: opens the logs that clients left unfinished until they are done.

    hold: takes a client's buffer, as ``clients.hold_client_log`` does.
    """

    def __init__(
        self, buffers: Path, engine: Engine, clock: Clock, *, hold: Callable[[Path], ClientLog]
    ) -> None:
        self._buffers, self._engine, self._clock, self._hold = buffers, engine, clock, hold
        self._rows: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what is unfinished stays so."""
        self._stop.set()
        self._thread.join(10.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a client: name, writer, records accepted, and whether it writes now."""
        return self._rows

    def is_unfinished(self, writer: int) -> bool:
        """Whether a client's log may still hold what Kafka or PostgreSQL lacks."""
        return (self._buffers / str(writer) / UNFINISHED).exists()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for base in client_buffers(self._buffers):
                    self._finish(base)
                self._look()
            except (EmdataError, SQLAlchemyError, OSError) as error:
                code = getattr(error, "code", None) or type(error).__name__
                log.warning("clients_not_seen", error_class=code, error=str(error)[:200])
            self._stop.wait(LOOK_SECONDS)

    def _finish(self, base: Path) -> None:
        if self._stop.is_set() or not (base / UNFINISHED).exists():
            return
        try:
            held = self._hold(base)
        except BufferInUse:
            return  # the client itself is at it
        held.open()
        deadline = self._clock.monotonic() + FINISH_SECONDS
        while not held.is_done() and self._clock.monotonic() < deadline:
            if self._stop.wait(0.1):
                break
        held.close()
        log.info("client_log_finished", writer=held.writer, is_done=held.is_done())

    def _look(self) -> None:
        try:
            names, accepted = client_names(self._engine), client_high_seqs(self._engine)
        except StateUnavailable:
            return  # what was seen before stays on show
        self._rows = [
            {
                "writer": writer,
                "name": name,
                "is_writing": sight(self._buffers / str(writer)).is_locked,
                "is_unfinished": self.is_unfinished(writer),
                "accepted": {
                    dataset: seq for (one, dataset), seq in accepted.items() if one == writer
                },
            }
            for writer, name in sorted(names.items())
        ]
        metrics.DEGRADED_CLIENTS.set(sum(row["is_writing"] for row in self._rows))
        metrics.DEGRADED_RECORDS.set(sum(sum(row["accepted"].values()) for row in self._rows))
