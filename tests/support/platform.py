"""A whole or partial platform in a directory of its own, for tests on real servers.

    with running_platform(only="postgres,kafka") as platform:
        platform.kill("kafka")
        platform.wait_ready("kafka")

It is started by the same command that a user types, with other ports and another EMDATA_HOME, and
shares the installed tools. Leaving the block stops it and fails when a process is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from emdata.settings import REPOSITORY
from runtime.install import find_java
from runtime.processes import platform_processes
from runtime.services.base import NotReady, Service
from runtime.services.registry import all_services
from runtime.supervisor import Supervisor
from tests.support.host import Host, environment_without_ours
from tests.support.ports import free_pair, free_ports
from tests.support.waiting import wait_for

PATIENCE_S = 120
START_TIMEOUT_S = 600
STOP_TIMEOUT_S = 90
_PORTS = (
    "EMDATA_KAFKA_PORT",
    "EMDATA_KAFKA_CONTROLLER_PORT",
    "EMDATA_FLINK_REST_PORT",
    "EMDATA_FLINK_RPC_PORT",
    "EMDATA_FLINK_BLOB_PORT",
    "EMDATA_FLINK_TASKMANAGER_RPC_PORT",
    "EMDATA_FLINK_TASKMANAGER_DATA_PORT",
    "STARROCKS_PORT",
    "EMDATA_STARROCKS_HTTP_PORT",
    "EMDATA_POSTGRES_PORT",
    "EMDATA_DAGSTER_PORT",
    "EMDATA_DAGSTER_CODE_PORT",
    "EMDATA_MANAGER_PORT",
    "EMDATA_SIMULATOR_PORT",
    "EMDATA_API_PORT",
    "EMDATA_API_METRICS_PORT",
    "EMDATA_WATCHDOG_METRICS_PORT",
)


class Platform(Host):
    """One platform; ``settings`` are environment names and texts that win over the defaults."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
        environment = {
            **environment_without_ours(),
            **ports,
            "EMDATA_FLINK_METRICS_PORT": str(free_pair()),
            "EMDATA_HOME": str(home),
            "EMDATA_TOOLS": os.environ.get("EMDATA_TOOLS", str(REPOSITORY / ".emdata" / "tools")),
            "SOURCES": "simulator",
            "EMDATA_API_LIMITS": "off",  # a test asks more often than the public may
            **(settings or {}),
        }
        super().__init__(home, environment, PATIENCE_S)

    @cached_property
    def services(self) -> dict[str, Service]:
        """All services by name, started or not."""
        found = all_services(self.context, find_java(self.environment))
        return {service.name: service for service in found}

    @property
    def supervisor(self) -> Supervisor:
        """A client of its supervisord."""
        return Supervisor(self.context)

    def start(self, only: str = "") -> str:
        """Start it, or the named services of it; returns what was printed."""
        arguments = ["start", *(["--only", only] if only else [])]
        return self.emdata(*arguments, timeout=START_TIMEOUT_S).stdout

    def stop(self) -> str:
        """Stop it; fails when a process is left."""
        text = self.emdata("stop", timeout=STOP_TIMEOUT_S).stdout
        left = platform_processes(self.paths.data)
        assert not left, f"processes left after stop: {left}"
        return text

    def pid(self, service: str) -> int:
        """The pid of a running service."""
        state = self.supervisor.states()[service]
        assert state.is_running, f"{service} is {state.state}"
        return state.pid

    def pids(self) -> dict[str, int]:
        """Pids of all running services."""
        return {
            name: state.pid for name, state in self.supervisor.states().items() if state.is_running
        }

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a service's main process; returns its pid."""
        pid = self.pid(service)
        os.kill(pid, number)
        return pid

    def is_ready(self, service: str) -> bool:
        """Whether the service's own probe passes now."""
        try:
            self.services[service].probe()
        except NotReady:
            return False
        return True

    def wait_ready(self, service: str, timeout: float = 90) -> None:
        """Wait until the service's own probe passes."""
        wait_for(lambda: self.is_ready(service), timeout, f"{service} to be ready")

    def wait_restarted(self, service: str, old_pid: int, timeout: float = 90) -> None:
        """Wait until a killed service runs under another pid and is ready."""

        def restarted() -> bool:
            state = self.supervisor.states()[service]
            return state.is_running and state.pid != old_pid and self.is_ready(service)

        wait_for(restarted, timeout, f"{service} to be restarted")

    def log(self, service: str) -> str:
        """The current log of a service."""
        file = self.paths.logs / f"{service}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def close(self) -> None:
        """Stop it, and kill what does not stop, so that no test leaves a server behind."""
        try:
            self.stop()
        finally:
            self.emdata("emergency-stop", check=False)


@contextmanager
def running_platform(
    only: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[Platform]:
    """A started platform in a temporary home, stopped and removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="emdata-test-"))
    platform = Platform(home, settings)
    try:
        try:
            platform.start(only)
            yield platform
        finally:
            platform.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
