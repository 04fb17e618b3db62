"""Connections with deadlines: uvicorn's HTTP protocol, with what it leaves open closed.

What is refused here costs neither a task nor a route: headers that do not end, connections that
say nothing or do not read, and more connections than the process may have.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from api import metrics
from api.problems import Problem
from api.serving.connections import LIMITS, ConnectionLimits
from api.serving.refuser import REFUSER, Refuser


class GuardedProtocol(HttpToolsProtocol):
    """One connection; its limits come with the application's state."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits: ConnectionLimits = app_state.get(LIMITS) or ConnectionLimits()
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # received of a head that is not complete
        self._is_in_head = True
        self._refusal: Problem | None = None
        self._refuser: Refuser | None = app_state.get(REFUSER)
        self._is_answered = False  # at the door: the request has no cycle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or end it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            detail = f"this server has its {self._limits.connections} connections; try again later"
            self._refuse(Problem("unavailable", detail, headers={"Retry-After": "5"}))
            metrics.REFUSED.labels("connections").inc()
            return
        self._deadline = self.loop.call_later(self._limits.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._no_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head may come in pieces, but not for ever and not without end."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing() or self.parser is None:
            return
        if not self._is_in_head:
            self._no_deadline()
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._limits.header_bytes:
            self._refuse(self._too_large())
        elif self._deadline is None and self._head_bytes:
            self._deadline = self.loop.call_later(self._limits.head_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are complete: check them, and begin to answer."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.header_bytes or len(self.headers) > self._limits.headers:
            self._refusal = self._too_large()
            raise httptools.HttpParserError("headers")
        self._is_in_head, self._head_bytes = False, 0
        self._is_answered = self._refuser is not None and self._answers(self._refuser)
        if not self._is_answered:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, unless its request is answered."""
        if not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        if not self._is_answered:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too much of it."""
        problem, self._refusal = self._refusal, None
        self._refuse(problem or Problem("bad-parameter", msg))

    def pause_writing(self) -> None:
        """Wait for the reader, for some time."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_seconds, self._not_read)

    def resume_writing(self) -> None:
        """Go on: the reader took something."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _answers(self, refuser: Refuser) -> bool:
        """Answer a request of somebody who has nothing left; whether it is answered.

        Not out of turn, and not into a buffer that its reader leaves full: layers wait for both.
        """
        cycle: RequestResponseCycle | None = self.cycle
        is_turn = cycle is None or cycle.response_complete
        if not is_turn or self.flow.write_paused or self.parser.get_method() != b"GET":
            return False
        if self.transport.is_closing():
            return True
        refusal = refuser.answer(cast("dict[str, Any]", self.scope), self.url)
        if refusal is None:
            return False
        sent = [STATUS_LINE[refusal.problem.status]]
        for name, value in self.server_state.default_headers:
            sent += [name, b": ", value, b"\r\n"]
        is_kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        sent += [refusal.head, b"\r\n" if is_kept else b"connection: close\r\n\r\n", refusal.body]
        self.transport.write(b"".join(sent))
        if not is_kept:
            self.transport.close()
        self.on_response_complete()
        return True

    def _too_large(self) -> Problem:
        metrics.REFUSED.labels("headers").inc()
        most = f"{self._limits.header_bytes} bytes in {self._limits.headers} headers"
        detail = f"the request's line and headers are too large; allowed: {most}"
        return Problem("headers-too-large", detail)

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or not self._is_in_head:
            return
        metrics.REFUSED.labels("slow").inc()
        if self._head_bytes:
            detail = f"the headers did not end within {self._limits.head_seconds:g} s"
            self._refuse(Problem("too-slow", detail))
        else:
            self.transport.close()

    def _not_read(self) -> None:
        self._stalled = None
        metrics.REFUSED.labels("slow").inc()
        self.transport.abort()

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, problem: Problem) -> None:
        """Answer without a task, and close; an answer that has begun is cut off."""
        self._no_deadline()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self.transport.close()
            return
        answer = problem.response()
        phrase = HTTPStatus(answer.status_code).phrase
        lines = [f"HTTP/1.1 {answer.status_code} {phrase}\r\n".encode()]
        lines += [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
        self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", bytes(answer.body)]))
        self.transport.close()
