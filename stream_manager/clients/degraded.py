"""Degraded mode: this process writes to Kafka itself, as a writer of its own.

It runs the same door as the manager, inside the process: the same contract checks and answers, a
log of its own that is fsynced before the answer, delivery, and COMMIT frames for PostgreSQL. Every
message says ``emdata_degraded: true``. What is left when the process ends is finished by the next
client or by the manager, so the ledger of this writer settles like any other.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy.exc import SQLAlchemyError

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.errors import SourceUnavailable, StateUnavailable
from emdata.state import connect
from emdata.state.clients import new_client, note_client
from emdata.telemetry import get_logger
from emdata.transport.kafka import KafkaAddress
from stream_manager.availability.fence import sight
from stream_manager.clients.client import client_buffers
from stream_manager.clients.clients import ClientLog, first_free, hold_client_log
from stream_manager.ingest import IngestApp
from stream_manager.manager import StreamManager

log = get_logger(__name__)
POST_SECONDS, DRAIN_SECONDS, STOP_SECONDS = 30.0, 5.0, 10.0


@dataclass(frozen=True, repr=False)
class DegradedConfig:
    """Who writes and where: ``buffers`` is the directory of all buffers of the platform."""

    name: str
    buffers: Path
    dsn: str
    kafka: KafkaAddress
    records: Mapping[str, type[Record]]
    is_simulated: bool


class DegradedWriter:
    """``prepare`` while PostgreSQL is there; ``post`` opens what it needs; ``close`` at the end."""

    def __init__(self, config: DegradedConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._engine = connect(config.dsn)
        self._hold = partial(hold_client_log, engine=self._engine, kafka=config.kafka, clock=clock)
        self._log: ClientLog | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="degraded", daemon=True)
        self._client: httpx2.AsyncClient | None = None
        self._opening = threading.Lock()

    @property
    def writer(self) -> int | None:
        """The number under which it writes; None while it does not."""
        return None if self._log is None else self._log.writer

    def prepare(self) -> bool:
        """Make sure that a number and a log are there for later; False when they cannot be had.

        Numbers come from PostgreSQL, which may be away together with the manager.
        """
        if any(not sight(base).is_locked for base in client_buffers(self._config.buffers)):
            return True
        try:
            held = self._new_log()
        except (StateUnavailable, SQLAlchemyError) as error:
            log.info("degraded_mode_not_prepared", error=str(error)[:200])
            return False
        held.claim.close()
        return True

    def post(self, dataset: str, body: bytes) -> tuple[int, bytes]:
        """Take a JSON array of records as the manager's door does: status and answer.

        Raises SourceUnavailable when there is no number to write under, or no answer in time.
        """
        client, loop = self._open()
        request = client.post(f"/v1/records/{dataset}", content=body)
        future = asyncio.run_coroutine_threadsafe(request, loop)
        try:
            answer = future.result(POST_SECONDS)
        except FutureTimeout:
            raise SourceUnavailable(f"degraded mode: no answer in {POST_SECONDS:g} s") from None
        return answer.status_code, answer.content

    def wait_done(self, timeout: float) -> bool:
        """Wait until Kafka and PostgreSQL have everything; False when ``timeout`` passes first."""
        deadline = self._clock.monotonic() + timeout
        pause = threading.Event()
        while self._log is not None and not self._log.is_done():
            if self._clock.monotonic() >= deadline:
                return False
            pause.wait(0.02)
        return True

    def close(self) -> None:
        """Wait a few seconds for Kafka, then stop; what is left is finished by somebody else."""
        with self._opening:
            if self._log is not None:
                self.wait_done(DRAIN_SECONDS)
                self._log.close()
                self._log = None
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(STOP_SECONDS)
                self._loop.close()
            self._engine.dispose()

    def _open(self) -> tuple[httpx2.AsyncClient, asyncio.AbstractEventLoop]:
        with self._opening:
            if self._client is not None and self._loop is not None:
                return self._client, self._loop
            try:
                held = first_free(self._config.buffers, self._hold) or self._new_log()
            except (StateUnavailable, SQLAlchemyError) as error:
                raise SourceUnavailable(
                    "degraded mode: no number to write under, and PostgreSQL is away too; "
                    f"{str(error)[:200]}"
                ) from error
            held.open()
            self._log = held
            self._client, self._loop = self._door(held), asyncio.new_event_loop()
            self._thread.start()
            log.warning("manager_away_writing_to_kafka", writer=held.writer, name=self._config.name)
            self._note(held)
            return self._client, self._loop

    def _run(self) -> None:
        if self._loop is not None:
            self._loop.run_forever()

    def _new_log(self) -> ClientLog:
        """Register this client and make its log, opened once so that it carries its numbers."""
        config = self._config
        writer = new_client(
            self._engine, config.name, is_simulated=config.is_simulated, now=self._clock.now()
        )
        base = config.buffers / str(writer)
        held = self._hold(base)
        held.intake.log.open()
        held.intake.log.close()
        held.claim.close()
        return self._hold(base)

    def _note(self, held: ClientLog) -> None:
        try:
            epoch = held.intake.log.epoch
            note_client(self._engine, held.writer, epoch=epoch, now=self._clock.now())
        except (StateUnavailable, SQLAlchemyError) as error:
            log.info("client_not_noted", error=str(error)[:200])

    def _door(self, held: ClientLog) -> httpx2.AsyncClient:
        manager = StreamManager(
            held.intake, self._engine, self._clock, is_simulated=self._config.is_simulated
        )
        token = secrets.token_urlsafe()
        app = IngestApp(manager, self._config.records, token, _no_status).app()
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://degraded",
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )


def _no_status() -> dict[str, Any]:
    return {}
