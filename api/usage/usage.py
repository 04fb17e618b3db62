"""Everything that counts requests in one process, started and stopped together."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass

from api.usage.access_log import AccessLog
from api.usage.ledger import Ledger
from api.usage.reporter import Reporter
from emdata.paths import Paths
from stream_manager.clients.client import ManagerClient

FOLDER = "api-usage"
POST_SECONDS = 5.0


@dataclass(frozen=True)
class Usage:
    """The open lines, who reports them, and the access log if there is one."""

    ledger: Ledger
    reporter: Reporter
    access_log: AccessLog | None

    @classmethod
    def of(cls, paths: Paths, push_key: str) -> Usage:
        """Return the usage of a process that reports to the platform's stream manager."""
        settings = paths.settings
        process = secrets.token_hex(8)
        ledger = Ledger(process)
        manager = ManagerClient(
            settings.manager_urls,
            token=lambda: push_key,
            timeout=POST_SECONDS,
        )
        folder = paths.data / FOLDER
        reporter = Reporter(ledger, process, folder, manager, settings.api_usage_seconds)
        return cls(ledger, reporter, AccessLog(sys.stderr) if settings.api_access_log else None)

    async def start(self) -> None:
        """Begin to report and to log."""
        await self.reporter.start()
        if self.access_log is not None:
            await self.access_log.start()

    async def stop(self) -> None:
        """Report and log what is left."""
        if self.access_log is not None:
            await self.access_log.stop()
        await self.reporter.stop()
