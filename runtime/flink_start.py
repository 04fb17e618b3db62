"""Brings the Flink jobs up during a start; their client's JVM warms up while the servers start."""

from __future__ import annotations

import os

from emdata.errors import ServiceError
from flink_jobs.deploy import Report, deploy, start_session
from flink_jobs.session import Session
from runtime.context import Context
from runtime.install import Java
from runtime.services import flink


class FlinkStart:
    """The client of one start; ``close`` ends it."""

    def __init__(self, context: Context, java: Java) -> None:
        self._context = context
        self._environ = {**os.environ, "JAVA_HOME": str(java.home)}
        self._session: Session | None = None

    def warm_up(self) -> str:
        """Start the client and return at once."""
        flink.prepare(self._context)
        self._session = start_session(self._context.settings, self._context.paths, self._environ)
        return ""

    def deploy(self) -> str:
        """Deploy all jobs; raises ServiceError naming those that are not as planned."""
        try:
            report: Report = deploy(
                self._context.settings,
                self._context.paths,
                environ=self._environ,
                session=self._session,
            )
        finally:
            self.close()  # now, while other servers still start, rather than at the end
        failed = [outcome for outcome in report.outcomes if not outcome.ok]
        if failed:
            names = "; ".join(f"{item.name}: {item.detail}" for item in failed)
            raise ServiceError(f"jobs: {names}; see `emdata flink status`")
        return f"{len(report.outcomes)} running, {len(report.changed)} submitted"

    def close(self) -> None:
        """End the client's process."""
        if self._session is not None:
            self._session.close()
            self._session = None
