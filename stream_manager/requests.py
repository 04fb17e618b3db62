"""Listening for requests: rows in PostgreSQL, and a NOTIFY that wakes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.errors import StateUnavailable
from emdata.state.reads import streams_of_others
from emdata.state.requests import ASK_CHANNEL, Request, open_requests, refuse
from emdata.telemetry import get_logger
from stream_manager.manager import StreamManager

log = get_logger(__name__)
LOOK_ANYWAY = 15.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0


class RequestListener:
    """Hands open requests to the manager; a lost connection is opened again.

    ``on_redrive`` gets those about dead letters.
    """

    def __init__(
        self,
        manager: StreamManager,
        engine: Engine,
        on_redrive: Callable[[Request], None] | None = None,
    ) -> None:
        self._manager, self._engine, self._on_redrive = manager, engine, on_redrive
        self._wait = FIRST_WAIT

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, SQLAlchemyError, StateUnavailable, OSError) as error:
                log.warning("requests_not_heard", error=str(error)[:200])
                await asyncio.sleep(self._wait)
                self._wait = min(self._wait * 2, LONGEST_WAIT)

    async def _listen(self) -> None:
        url = self._engine.url.set(drivername="postgresql")
        connection = await psycopg.AsyncConnection.connect(
            url.render_as_string(hide_password=False), autocommit=True, connect_timeout=5
        )
        async with connection:
            await connection.execute(f"LISTEN {ASK_CHANNEL}")
            while True:
                await self._hand_over()
                self._wait = FIRST_WAIT
                async for _ in connection.notifies(timeout=LOOK_ANYWAY, stop_after=1):
                    pass

    async def _hand_over(self) -> None:
        everything = await asyncio.to_thread(open_requests, self._engine)
        asked = [request for request in everything if request.kind != "redrive"]
        if self._on_redrive is not None:
            for request in everything:
                if request.kind == "redrive":
                    self._on_redrive(request)
        strange = [request for request in asked if not self._manager.request(request)]
        if not strange:
            return
        # Another manager may run the stream; only what nobody runs is refused.
        others = await asyncio.to_thread(
            streams_of_others, self._engine, self._manager.intake.config.writer
        )
        unknown = [request.id for request in strange if request.stream not in others]
        if unknown:
            known = ", ".join(row["stream"] for row in self._manager.status())
            reason = f"no such stream runs here; running: {known}"
            await asyncio.to_thread(refuse, self._engine, unknown, reason)
