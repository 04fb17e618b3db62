"""One JSON line a request, shaped like every other line of the log, without an address or a secret.

Paths and query strings are not in it: a caller writes them, and may write a key there by mistake.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

FLUSH_SECONDS = 0.25
_ALIKE = {"event": "api_request", "level": "info", "logger": "api.access", "service": "api"}


class AccessLog:
    """Collects lines and writes them together."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="api-access-log")

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._write()

    def add(self, at: datetime, **fields: Any) -> None:
        """Add a request's line; ``client`` is the salted name of its network."""
        self._lines.append(line_of({**_ALIKE, "at": at.astimezone(UTC), **fields}))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._write()

    def _write(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self._out.write("".join(lines))
            self._out.flush()


def line_of(event: dict[str, Any]) -> str:
    """Return one line of ASCII, whatever the values hold."""
    text = msgspec.json.encode(event)
    # What is beyond ASCII may be a line's end to somebody (U+2028); it is escaped.
    return (text.decode() if text.isascii() else json.dumps(msgspec.json.decode(text))) + "\n"
