"""Real servers for the Flink tests: Kafka, JobManager, TaskManager and the embedded StarRocks.

They are started from the platform's own service definitions, on free ports, in a directory of
their own, each as a process group that is killed at the end.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import REPOSITORY, Settings, load_settings
from emdata.warehouse import Warehouse
from runtime.context import Context
from runtime.install import find_java
from runtime.services import flink, kafka
from runtime.services.base import NotReady, Service
from tests.support.waiting import wait_for

HOST = "127.0.0.1"
PORTS = (
    "EMDATA_KAFKA_PORT",
    "EMDATA_KAFKA_CONTROLLER_PORT",
    "EMDATA_FLINK_REST_PORT",
    "EMDATA_FLINK_RPC_PORT",
    "EMDATA_FLINK_BLOB_PORT",
    "EMDATA_FLINK_TASKMANAGER_RPC_PORT",
    "EMDATA_FLINK_TASKMANAGER_DATA_PORT",
    "EMDATA_STARROCKS_HTTP_PORT",
    "STARROCKS_PORT",
)
START_WITHIN_S = 90.0


@dataclass
class Servers:
    """A running cluster; every server can be killed and started again."""

    context: Context
    services: dict[str, Service]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings the servers were started with."""
        return self.context.settings

    @property
    def paths(self) -> Paths:
        """The directories of this cluster."""
        return self.context.paths

    def warehouse(self) -> Warehouse:
        """A client of the embedded StarRocks."""
        settings = self.settings
        return Warehouse(
            settings.starrocks_host,
            settings.starrocks_mysql_port,
            settings.starrocks_user,
            self.context.credentials.starrocks_password,
        )

    def launch(self, name: str) -> None:
        """Start one server without waiting for it."""
        service = self.services[name]
        service.prepare()
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        with (self.paths.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                service.command,
                env={**os.environ, **service.environment},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self, name: str) -> None:
        """Wait until a server's own probe says that it is ready."""
        process = self.processes[name]

        def ready() -> bool:
            if process.poll() is not None:
                log = (self.paths.logs / f"{name}.log").read_text(errors="replace")
                raise AssertionError(f"{name} ended with {process.returncode}: {log[-2000:]}")
            try:
                self.services[name].probe()
            except NotReady:
                return False
            return True

        wait_for(ready, START_WITHIN_S, f"{name} to be ready", interval=0.2)

    def kill(self, name: str) -> None:
        """SIGKILL a server and wait until it is gone."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def restart(self, name: str) -> None:
        """Start a killed server again and wait for it."""
        self.launch(name)
        self.wait_ready(name)

    def stop(self) -> None:
        """Kill everything."""
        for name in list(self.processes):
            self.kill(name)


@contextmanager
def running(home: Path, environ: dict[str, str] | None = None) -> Iterator[Servers]:
    """Start all servers in ``home``; on the way out nothing of them is left running."""
    settings = settings_in(home, environ or {})
    context = Context(settings, Paths(settings, "simulator"), ensure_credentials(settings))
    java = find_java(os.environ)
    services = [
        kafka.service(context, java),
        warehouse_service(context),
        flink.jobmanager(context, java),
        flink.taskmanager(context, java),
    ]
    servers = Servers(context, {service.name: service for service in services})
    try:
        for service in services:
            servers.launch(service.name)
        for service in services:
            servers.wait_ready(service.name)
        yield servers
    finally:
        servers.stop()


def settings_in(home: Path, environ: dict[str, str]) -> Settings:
    """Settings of a cluster in ``home`` with free ports."""
    tools = os.environ.get("EMDATA_TOOLS", str(REPOSITORY / ".emdata" / "tools"))
    names = [*PORTS]
    ports = free_ports(len(names) + 2)
    # The TaskManager's metrics port is the JobManager's plus one: ask for two in a row.
    values = {name: str(port) for name, port in zip(names, ports, strict=False)}
    values["EMDATA_FLINK_METRICS_PORT"] = str(free_pair())
    return load_settings(
        {"EMDATA_HOME": str(home), "EMDATA_TOOLS": tools, "SOURCES": "simulator"}
        | values
        | environ,
        env_file=None,
    )


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def free_pair() -> int:
    """The first of two adjacent free ports."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            try:
                second.bind((HOST, port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two adjacent free ports")


def warehouse_service(context: Context) -> Service:
    """The embedded StarRocks."""
    settings, paths = context.settings, context.paths
    password = paths.home / "starrocks-password"

    def prepare() -> None:
        paths.warehouse.mkdir(parents=True, exist_ok=True)
        password.write_text(context.credentials.starrocks_password, encoding="utf-8")
        password.chmod(0o600)

    def probe() -> str:
        try:
            socket.create_connection((HOST, settings.starrocks_mysql_port), timeout=1).close()
            socket.create_connection((HOST, settings.starrocks_http_port), timeout=1).close()
        except OSError as error:
            raise NotReady(str(error)) from error
        return "listening"

    command = (
        *(sys.executable, "-m", "embedded_starrocks", "--data", str(paths.warehouse)),
        *("--host", HOST, "--mysql-port", str(settings.starrocks_mysql_port)),
        *("--http-port", str(settings.starrocks_http_port), "--password-file", str(password)),
        *("--banner", "test", "--memory-limit", "384MB"),
    )
    return Service("warehouse", "StarRocks", command, probe, stop_stage=1, prepare=prepare)


def wait_until_stopped(process: subprocess.Popen[bytes], timeout: float) -> None:
    """Wait for a process to end."""
    deadline = time.monotonic() + timeout
    process.wait(timeout=max(0.1, deadline - time.monotonic()))
