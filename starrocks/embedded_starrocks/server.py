"""The whole server: store, MySQL port, HTTP port, and an orderly stop."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

from embedded_starrocks.config import Config
from embedded_starrocks.errors import StartupError
from embedded_starrocks.http.listener import HttpListener
from embedded_starrocks.mysql.listener import MysqlListener
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.sql.schedule import Scheduler
from embedded_starrocks.storage.engine import Engine
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.store import Store

SCHEDULE_SECONDS = 1.0
# A query that comes back from DuckDB waits no longer than this for a thread that runs Python.
TURN_SECONDS = 0.0005
log = structlog.get_logger("embedded_starrocks")


class Server:
    """One running stand-in. `mysql_port` and `http_port` are known after `start`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        engine = Engine(config.data, config.memory_limit, config.threads)
        self._store = Store(engine, config.root_password, config.banner)
        self._sessions = Sessions()
        self._mysql = MysqlListener(self._store, self._sessions, config.max_connections, config.tls)
        self._loads = Loads(self._store, config.label_keep_seconds)
        self._http = HttpListener(self._store, self._loads, self._sessions, config.max_load_bytes)
        self._schedule = Scheduler(self._store, self._sessions)
        self.mysql_port = 0
        self.http_port = 0

    async def start(self) -> None:
        """Listen on both ports. Raises StartupError when one is taken."""
        config = self._config
        try:
            self.mysql_port = await self._mysql.start(config.host, config.mysql_port)
            self.http_port = await self._http.start(config.host, config.http_port)
        except OSError as error:
            await self.stop()
            raise StartupError(
                f"cannot listen on {config.host}, ports {config.mysql_port} (MySQL) and "
                f"{config.http_port} (HTTP): {error.strerror}; choose other ports"
            ) from None
        self._schedule.start(SCHEDULE_SECONDS)
        log.info("started", mysql_port=self.mysql_port, http_port=self.http_port)

    async def stop(self) -> None:
        """Close the ports, end what runs, checkpoint, let go of the files."""
        await asyncio.to_thread(self._schedule.stop)
        await self._http.stop()
        await self._mysql.stop()
        self._store.engine.close()
        log.info("stopped")


async def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    sys.setswitchinterval(TURN_SECONDS)
    server = Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    await stop.wait()
    await server.stop()
