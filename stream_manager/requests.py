"""Listening for requests: rows in PostgreSQL, and a NOTIFY that wakes at once."""

from __future__ import annotations

import asyncio

import psycopg
from sqlalchemy import Engine

from emdata.errors import StateUnavailable
from emdata.state.requests import ASK_CHANNEL, open_requests, refuse
from emdata.telemetry import get_logger
from stream_manager.manager import StreamManager

log = get_logger(__name__)
LOOK_ANYWAY = 15.0


class RequestListener:
    """Hands open requests to the manager; a lost connection is opened again."""

    def __init__(self, manager: StreamManager, engine: Engine) -> None:
        self._manager, self._engine = manager, engine

    async def run(self) -> None:
        """Run until cancelled."""
        wait = 0.5
        while True:
            try:
                await self._listen()
            except (psycopg.Error, StateUnavailable) as error:
                log.warning("requests_not_heard", error=str(error)[:200])
                await asyncio.sleep(wait)
                wait = min(wait * 2, 10.0)
            else:
                wait = 0.5

    async def _listen(self) -> None:
        url = self._engine.url.set(drivername="postgresql")
        connection = await psycopg.AsyncConnection.connect(
            url.render_as_string(hide_password=False), autocommit=True, connect_timeout=5
        )
        async with connection:
            await connection.execute(f"LISTEN {ASK_CHANNEL}")
            while True:
                await self._hand_over()
                async for _ in connection.notifies(timeout=LOOK_ANYWAY, stop_after=1):
                    pass

    async def _hand_over(self) -> None:
        asked = await asyncio.to_thread(open_requests, self._engine)
        unknown = [request.id for request in asked if not self._manager.request(request)]
        if unknown:
            known = ", ".join(row["stream"] for row in self._manager.status())
            reason = f"no such stream runs here; running: {known}"
            await asyncio.to_thread(refuse, self._engine, unknown, reason)
