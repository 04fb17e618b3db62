"""A TCP proxy that misbehaves on command, for a connection between two of our processes.

    with proxy_to(9092, is_kafka=True) as proxy:
        proxy.hang()      # connections stay open and nothing passes: half open
        proxy.drop()      # they end with a reset; new ones pass again

Kafka tells its clients where brokers listen. With ``is_kafka`` that port is replaced by the proxy's
in every answer, frame by frame (4 bytes length, then the response), so that no client goes past it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LENGTH = struct.Struct(">i")
_HOST = b"127.0.0.1"


class Proxy:
    """Passes connections to ``target``, a port on this machine; ``port`` is its own.

    delay_s: what each piece of an answer waits before it is passed on.
    """

    def __init__(self, target: int, *, is_kafka: bool = False) -> None:
        self.target, self.delay_s = target, 0.0
        self._is_kafka = is_kafka
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._passing, self._ended = threading.Event(), threading.Event()
        self._passing.set()
        self._guard = threading.Lock()
        self._open: list[socket.socket] = []
        self.hung: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def hang(self) -> None:
        """Keep all connections, take new ones, and pass nothing on."""
        self._passing.clear()

    def resume(self) -> None:
        """Pass on again, also what was held back."""
        self._passing.set()

    def forget(self) -> None:
        """Half open for good: today's connections never pass anything again, new ones do."""
        with self._guard:
            self.hung += self._open
            self._open = []
        self._passing.set()

    def drop(self) -> None:
        """End all connections with a reset and pass on new ones."""
        with self._guard:
            ended, self._open, self.hung = self._open + self.hung, [], []
        for one in ended:
            # Without lingering, closing sends a reset, as a peer does that knows nothing of us.
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._passing.set()

    def close(self) -> None:
        """End it with all its connections."""
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()  # the target is down, and so are we
                continue
            server.settimeout(None)
            with self._guard:
                self._open += [client, server]
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                thread = threading.Thread(
                    target=self._pass, args=(source, sink, is_answer), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        read = self._frame if is_answer and self._is_kafka else self._piece
        with contextlib.suppress(OSError):
            while data := read(source):
                self._passing.wait()
                if source in self.hung:
                    continue
                if is_answer and self.delay_s:
                    self._ended.wait(self.delay_s)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            if sink not in self.hung:
                sink.shutdown(socket.SHUT_WR)

    def _piece(self, source: socket.socket) -> bytes:
        return source.recv(65536)

    def _frame(self, source: socket.socket) -> bytes:
        """Return one of Kafka's responses with the broker's port replaced by ours."""
        prefix = self._exactly(source, _LENGTH.size)
        if len(prefix) < _LENGTH.size:
            return b""
        body = self._exactly(source, _LENGTH.unpack(prefix)[0])
        theirs, ours = _LENGTH.pack(self.target), _LENGTH.pack(self.port)
        return prefix + body.replace(_HOST + theirs, _HOST + ours)

    def _exactly(self, source: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := source.recv(size - len(data))):
            data += more
        return data


@contextmanager
def proxy_to(target: int, *, is_kafka: bool = False) -> Iterator[Proxy]:
    """A proxy, closed at the end."""
    proxy = Proxy(target, is_kafka=is_kafka)
    try:
        yield proxy
    finally:
        proxy.close()
