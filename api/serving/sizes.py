"""ASGI layer: bodies that are too large, too slow or too deep are refused before they are held."""

from __future__ import annotations

import asyncio
import re

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.problems import Problem

BODY_SECONDS = 30.0
DEPTH = 32
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Sizes:
    """Limits the body of every request to ``body_bytes``, and JSON to DEPTH levels."""

    def __init__(self, app: ASGIApp, body_bytes: int, body_seconds: float = BODY_SECONDS) -> None:
        self._app, self._bytes, self._seconds = app, body_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length, is_json = _announced(scope)
        if length == 0:
            await self._app(scope, receive, send)
            return
        if length is not None and length > self._bytes:
            # The rest of the body is never read, so the connection cannot be used again.
            metrics.REFUSED.labels("body").inc()
            answer = Problem("too-large", self._allowed(), headers={"Connection": "close"})
            await answer.response()(scope, receive, send)
            return
        body = _Body(receive, self._bytes, self._seconds, is_json)
        await self._app(scope, body, send)

    def _allowed(self) -> str:
        return allowed(self._bytes)


class _Body:
    """Receives a body within its limits; JSON is held until it is whole and looked through."""

    def __init__(self, receive: Receive, most: int, seconds: float, is_json: bool) -> None:
        self._receive, self._most, self._is_json = receive, most, is_json
        self._seconds, self._until, self._size = seconds, 0.0, 0
        self._is_whole = False

    async def __call__(self) -> Message:
        """Return the next message. Raises HTTPException 408, 413 and 422."""
        if self._is_whole:
            return await self._receive()
        if not self._is_json:
            return await self._next()
        parts = []
        has_more = True
        while has_more:
            message = await self._next()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
            has_more = message.get("more_body", False)
        body = b"".join(parts)
        if is_deeper(body, DEPTH):
            metrics.REFUSED.labels("depth").inc()
            raise HTTPException(422, f"the body nests deeper than {DEPTH} levels")
        return {"type": "http.request", "body": body, "more_body": False}

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            metrics.REFUSED.labels("slow").inc()
            detail = f"the body did not arrive within {self._seconds:g} s"
            raise HTTPException(408, detail, {"Connection": "close"}) from None
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            metrics.REFUSED.labels("body").inc()
            raise HTTPException(413, allowed(self._most), {"Connection": "close"})
        self._is_whole = not message.get("more_body", False)
        return message


def allowed(most: int) -> str:
    """Return what a refused body is told."""
    return f"the body is too large; allowed: at most {most} bytes; send it in several requests"


def is_deeper(body: bytes, depth: int) -> bool:
    """Return whether JSON nests deeper than ``depth``, in time linear in its size.

    Whether it is JSON at all is its parser's business.
    """
    brackets = _STRINGS.sub(b"", body).translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(depth):
        left = brackets.replace(b"[]", b"")
        if len(left) == len(brackets):
            break
        brackets = left
    return b"[]" in brackets or brackets.count(b"[") > depth


def _announced(scope: Scope) -> tuple[int | None, bool]:
    """Return the length of a body (None: it does not say) and whether it is JSON."""
    length: int | None = 0
    is_json = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == b"transfer-encoding":
            length = None
        elif name == b"content-type":
            is_json = b"json" in value.lower()
    return length, is_json
