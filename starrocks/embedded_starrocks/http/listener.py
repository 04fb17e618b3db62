"""The port 8030: uvicorn in a thread of its own, so that loads and queries don't share a loop."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn

from embedded_starrocks.http.app import create_app
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.store import Store

STOP_SECONDS = 3


class HttpListener:
    """Serves the HTTP application on one address."""

    def __init__(self, store: Store, loads: Loads, sessions: Sessions, max_load_bytes: int) -> None:
        self._app = create_app(store, loads, sessions, max_load_bytes)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that was taken. Raises OSError when it can't be."""
        listening = socket.create_server((host, port), backlog=128)
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = uvicorn.Server(config)
        self._server = server
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="http", daemon=True
        )
        self._thread.start()
        bound: int = listening.getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, STOP_SECONDS + 1)
