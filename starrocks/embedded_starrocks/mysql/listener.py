"""The port 9030: accepts connections and gives each a thread until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time

import structlog

from embedded_starrocks.errors import SqlError
from embedded_starrocks.mysql import handshake
from embedded_starrocks.mysql.packets import PacketStream, ProtocolError
from embedded_starrocks.mysql.session import MAX_PACKET, Connection
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.storage.store import Store

log = structlog.get_logger("embedded_starrocks")
# How often time limits are looked at, and how often a stopping server asks again.
_LOOK_SECONDS = 0.2
_BACKLOG = 128


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
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that was taken (another one than asked for when that was 0)."""
        listening = socket.create_server((host, port), backlog=_BACKLOG)
        listening.setblocking(False)
        self._tasks = [
            asyncio.create_task(self._accept(listening)),
            asyncio.create_task(self._watch()),
        ]
        bound: int = listening.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the port and every connection; running statements are interrupted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._end_all)

    def _end_all(self) -> None:
        while threads := self._living():
            # Again and again: a statement may begin just behind an interruption.
            for session in self._sessions.all():
                session.kill(whole_connection=True)
            for connection in threads.values():
                connection.disconnect()
            next(iter(threads)).join(_LOOK_SECONDS)

    def _living(self) -> dict[threading.Thread, Connection]:
        with self._lock:
            return dict(self._connections)

    async def _watch(self) -> None:
        """Stop statements that reach their time limit."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for connection in self._living().values():
                connection.limit.look(now)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    connection, peer = await loop.sock_accept(listening)
                except OSError as error:
                    # Out of file handles, or a client that was gone again.
                    log.warning("accept_failed", problem=str(error))
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                self._admit(connection, str(peer[0]))

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(True)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = PacketStream(accepted, MAX_PACKET)
        if len(self._living()) < self._max_connections:
            connection = Connection(stream, self._store, self._sessions, peer, self._tls)
            thread = threading.Thread(
                target=self._serve, args=(connection, stream, peer), name="sql", daemon=True
            )
            with self._lock:
                self._connections[thread] = connection
            self._begin(thread, stream)
            return
        error = SqlError(1040, "08004", f"Too many connections (limit {self._max_connections})")
        with contextlib.suppress(EOFError):
            # It fits into the socket's buffer, which is empty: this waits for nobody.
            stream.send(handshake.error_packet(error))
        stream.close()

    def _begin(self, thread: threading.Thread, stream: PacketStream) -> None:
        try:
            thread.start()
        except RuntimeError as error:
            # The system gives no more threads; the client sees its connection end.
            log.warning("connection_refused", problem=str(error))
            with self._lock:
                del self._connections[thread]
            stream.close()

    def _serve(self, connection: Connection, stream: PacketStream, peer: str) -> None:
        try:
            connection.serve()
        except (EOFError, OSError):
            # The client went away, was silent for too long or never logged in.
            return
        except ProtocolError as error:
            log.warning("protocol_error", peer=peer, problem=str(error))
        except Exception:  # a defect ends this connection only, and is told
            log.exception("connection_failed", peer=peer)
        finally:
            stream.close()
            with self._lock:
                del self._connections[threading.current_thread()]
