"""The port 9030: accepts connections and serves each until it ends."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor

import structlog

from embedded_starrocks.errors import SqlError
from embedded_starrocks.mysql import handshake
from embedded_starrocks.mysql.packets import PacketStream, ProtocolError
from embedded_starrocks.mysql.session import MAX_PACKET, Connection
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.storage.store import Store

log = structlog.get_logger("embedded_starrocks")


class MysqlListener:
    """Serves MySQL's protocol on one address."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._store = store
        self._tls = tls
        self._sessions = sessions
        self._max_connections = max_connections
        self._threads = ThreadPoolExecutor(max_connections, thread_name_prefix="sql")
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that was taken (another one than asked for when that was 0)."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=1 << 20)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the port and every connection; running statements are interrupted."""
        if self._server is not None:
            self._server.close()
        for session in self._sessions.all():
            session.kill(whole_connection=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
        stream = PacketStream(reader, writer, MAX_PACKET)
        if len(self._tasks) > self._max_connections:
            error = SqlError(1040, "08004", f"Too many connections (limit {self._max_connections})")
            await stream.send(handshake.error_packet(error))
            return
        connection = Connection(stream, self._store, self._sessions, self._threads, peer, self._tls)
        try:
            await connection.serve(writer)
        except (EOFError, TimeoutError):
            # The client went away, or never logged in.
            return
        except ProtocolError as error:
            log.warning("protocol_error", peer=peer, problem=str(error))
