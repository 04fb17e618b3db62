"""What stands before a StarRocks cluster: a front end that sends each load on to a back end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.ports import free_ports


class FrontEnd(ThreadingHTTPServer):
    """Answers 307 before it reads a body, and 401 to a client without a login."""

    daemon_threads = True

    def __init__(self, back_end: int) -> None:
        (port,) = free_ports(1)
        super().__init__(("127.0.0.1", port), _Redirect)
        self.port = port
        self.back_end = back_end
        self.redirected = 0
        self.refused = 0


class _Redirect(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FrontEnd

    def handle_expect_100(self) -> bool:
        """The client still waits with its body: the answer comes instead of 100 Continue."""
        self._send_on()
        return False

    def _send_on(self) -> None:
        if self.headers.get("Authorization", "").startswith("Basic "):
            self.server.redirected += 1
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.back_end}{self.path}")
        else:
            self.server.refused += 1
            self.send_response(401)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def do_PUT(self) -> None:
        self._send_on()

    def do_POST(self) -> None:
        self._send_on()

    def do_GET(self) -> None:
        self._send_on()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the test's output."""


@contextmanager
def front_end(back_end: int) -> Iterator[FrontEnd]:
    """A front end of the server on HTTP port ``back_end``."""
    server = FrontEnd(back_end)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
