"""Sending an answer, well or badly, and telling whether all of it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from simulator.answers import Answer
from simulator.faults import FaultRequest

_CHUNK = 64 * 1024
_SLOW_PARTS = 50


class Delivery:
    """An ASGI response. ``sent`` is called once the last byte of an unspoiled 200 was handed over.

    Handed over means: every chunk was accepted by the transport and the client had not gone away
    before the last one. A client killed within the last socket buffer is not noticed.
    """

    def __init__(
        self, answer: Answer, fault: FaultRequest | None, sent: Callable[[], None]
    ) -> None:
        self._answer, self._fault, self._sent = answer, fault, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer as the fault wants it."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            fault = self._fault
            if fault is not None and fault.kind == "hang":
                await asyncio.wait({gone}, timeout=fault.seconds)
            elif fault is not None and fault.kind == "huge":
                await self._huge(send, gone, fault.size)
            else:
                await self._normal(scope, send, gone)
        finally:
            gone.cancel()

    async def _normal(self, scope: Scope, send: Send, gone: asyncio.Future[None]) -> None:
        body = b"" if scope["method"] == "HEAD" else self._answer.body
        fault = self._fault
        await send(self._start(len(self._answer.body) if self._answer.status != 304 else None))
        if fault is not None and fault.kind == "cut_off":
            await send({"type": "http.response.body", "body": body[: len(body) // 2]} | _MORE)
            return  # the server closes the connection: fewer bytes than announced
        size, pause = _CHUNK, 0.0
        if fault is not None and fault.kind == "slow":
            size, pause = len(body) // _SLOW_PARTS + 1, fault.seconds / _SLOW_PARTS
        for start in range(0, len(body), size):
            if pause:
                await asyncio.wait({gone}, timeout=pause)
            if gone.done():
                return
            part = body[start : start + size]
            await send({"type": "http.response.body", "body": part} | _MORE)
        await asyncio.sleep(0)
        if gone.done():
            return
        if self._answer.status == 200 and body:
            self._sent()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _huge(self, send: Send, gone: asyncio.Future[None], size: int) -> None:
        await send(self._start(None))
        sent, filler = 0, b" " * _CHUNK
        while sent < size and not gone.done():
            await send({"type": "http.response.body", "body": filler} | _MORE)
            sent += len(filler)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self, length: int | None) -> dict[str, object]:
        headers = {"Content-Type": self._answer.content_type, **self._answer.headers}
        if length is not None:
            headers["Content-Length"] = str(length)
        raw = [
            (name.lower().encode("latin-1"), text.encode("latin-1"))
            for name, text in headers.items()
        ]
        return {"type": "http.response.start", "status": self._answer.status, "headers": raw}


_MORE: dict[str, object] = {"more_body": True}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
