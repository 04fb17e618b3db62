"""Sends sealed lines of usage to the stream manager; until it has them they lie on the disk.

A file of lines is written before it is first sent, and removed once the manager has taken it. Who
finds files of a process that has gone sends them: a line that arrives twice is one line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from api import metrics
from api.usage.ledger import Ledger
from emdata.contracts.api_usage import ApiUsage
from emdata.errors import EmdataError
from emdata.files import replace_file
from emdata.telemetry import get_logger

log = get_logger(__name__)
SPOOL_BYTES = 64 << 20
ORPHAN_SECONDS = 60.0
LINES = 5000  # of one request, about 2 MB
SUFFIX = ".jsonl"


class Sink(Protocol):
    """What takes records: ``stream_manager.clients.client.ManagerClient``."""

    def post(self, dataset: str, records: Sequence[bytes]) -> object:
        """Post JSON records. Raises EmdataError."""
        ...


class Reporter:
    """Reports a ledger's lines every ``seconds``; blocking work is done in a thread."""

    def __init__(
        self, ledger: Ledger, process: str, folder: Path, sink: Sink, seconds: float
    ) -> None:
        self._ledger, self._process, self._folder = ledger, process, folder
        self._sink, self._seconds = sink, seconds
        self._files = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to report."""
        self._task = asyncio.create_task(self._run(), name="api-usage")

    async def stop(self, seconds: float = 3.0) -> None:
        """Write what was counted to the disk, try to send it; the next start sends the rest."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self.seal()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self.send)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            # On the loop's own thread, where requests are counted: nothing is counted meanwhile.
            self.seal()
            await asyncio.to_thread(self.send)

    def seal(self) -> None:
        """Write the open lines to a file of their own; they stay open where there is no room."""
        if not len(self._ledger) or _size(self._folder) > SPOOL_BYTES:
            return
        self._files += 1
        file = self._folder / f"{self._process}-{self._files:08d}{SUFFIX}"
        content = b"\n".join(msgspec.json.encode(line) for line in self._ledger.numbered())
        try:
            replace_file(file, content, is_durable=False)
        except OSError as error:
            log.warning("api_usage_not_written", lines=len(self._ledger), error=str(error))
            return
        self._ledger.clear()

    def send(self) -> None:
        """Send all files of this process, and those that gone processes left."""
        files = sorted(self._folder.glob(f"*{SUFFIX}"))
        mine = [file for file in files if file.name.startswith(f"{self._process}-")]
        try:
            for file in [*mine, *(one for one in files if one not in mine and _is_orphan(one))]:
                self._send(file)
        except (EmdataError, OSError) as error:
            log.warning("api_usage_waits", files=len(files), error=str(error)[:300])
        left = sum(1 for _ in self._folder.glob(f"*{SUFFIX}"))
        metrics.USAGE_PENDING.set(left)

    def _send(self, file: Path) -> None:
        try:
            lines = file.read_bytes().split(b"\n")
        except FileNotFoundError:  # another process was faster
            return
        for start in range(0, len(lines), LINES):
            self._sink.post(ApiUsage.dataset.name, lines[start : start + LINES])
        file.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    total = 0
    for file in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _is_orphan(file: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - file.stat().st_mtime > ORPHAN_SECONDS
    return False
