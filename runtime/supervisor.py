"""supervisord under the platform: its configuration, its start, and a client with deadlines."""

from __future__ import annotations

import configparser
import hashlib
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from emdata.errors import ServiceError, SettingError
from runtime.context import Context
from runtime.processes import MARKER, SERVICE
from runtime.services.base import Service

_USER = "emdata"
_SOCKET_LIMIT = 88  # 108 bytes, less the ".<pid>" that supervisord adds while it binds
_RPC_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 20.0
_SAFE_PATH = re.compile(r"^[\w./+@~-]+$")


class SupervisorUnavailable(ServiceError):
    """No supervisord answers on the platform's socket."""

    code = "supervisor_unavailable"


@dataclass(frozen=True)
class ProcessState:
    """What supervisord says of one program; ``started`` is a Unix time, 0 for never."""

    name: str
    state: str
    pid: int
    started: int
    exit_status: int
    error: str

    @property
    def is_running(self) -> bool:
        """Whether the process lives; says nothing about readiness."""
        return self.state in ("RUNNING", "STARTING")


def check_path(home: Path) -> None:
    """Refuse a home that supervisord, Java class paths or Kafka's lists would cut apart."""
    if not _SAFE_PATH.match(str(home)):
        raise SettingError(
            "EMDATA_HOME",
            value=str(home),
            allowed="a path of letters, digits and . _ - + @ ~ /",
            fix="choose a directory without spaces and quotes",
        )


def socket_path(run: Path) -> Path:
    """Where supervisord listens: in ``run``, or where sockets go when that path is too long."""
    direct = run / "supervisor.sock"
    if len(os.fsencode(direct)) <= _SOCKET_LIMIT:
        return direct
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"emdata-{os.getuid()}-{digest}.sock"


def render(context: Context, services: Iterable[Service]) -> str:
    """supervisord's configuration. Programs do not start by themselves: their order is ours."""
    run, logs = context.paths.run, context.paths.logs
    conf = configparser.RawConfigParser()
    conf["unix_http_server"] = {
        "file": str(socket_path(run)),
        "chmod": "0700",
        "username": _USER,
        "password": _escape(context.credentials.supervisor_password),
    }
    conf["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    conf["supervisord"] = {
        "logfile": str(logs / "supervisord.log"),
        "logfile_maxbytes": "5MB",
        "logfile_backups": "2",
        "pidfile": str(run / "supervisord.pid"),
        "directory": str(context.paths.data),
        "identifier": "emdata",
        "nocleanup": "true",
        "umask": "077",
    }
    if os.geteuid() == 0:
        conf["supervisord"]["user"] = "root"
    for service in services:
        conf[f"program:{service.name}"] = _program(service, logs)
    text = StringIO()
    conf.write(text)
    return text.getvalue()


def _program(service: Service, logs: Path) -> dict[str, str]:
    environment = {**service.environment, SERVICE: service.name}
    pairs = ",".join(f"{name}={_quote(value)}" for name, value in environment.items())
    return {
        "command": _escape(shlex.join(service.command)),
        "environment": pairs,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000",  # with a growing pause; `troubleshoot` names crash loops
        "priority": str(100 - 10 * service.stop_stage),
        "stopsignal": service.stop_signal,
        "stopwaitsecs": str(service.stop_within),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(logs / f"{service.name}.log"),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }


def _quote(text: str) -> str:
    if '"' in text:
        raise ServiceError(f"supervisor: a quote in a variable cannot be passed on: {text!r}")
    return f'"{_escape(text)}"'


def _escape(text: str) -> str:
    if "\n" in text or " ;" in text or " #" in text:
        raise ServiceError(f"supervisor: cannot be passed on, would be cut: {text!r}")
    return text.replace("%", "%%")


def launch(context: Context, services: Iterable[Service], environment: Mapping[str, str]) -> None:
    """Write the configuration and start supervisord; returns when it answers.

    Raises ServiceError with the last lines of its log when it does not.
    """
    paths = context.paths
    for folder in (paths.run, paths.logs):
        folder.mkdir(parents=True, exist_ok=True)
    conf = paths.run / "supervisord.conf"
    conf.unlink(missing_ok=True)
    handle = os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(render(context, services))
    socket_path(paths.run).unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
        env={**environment, MARKER: str(paths.data)},
        cwd=paths.data,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_START_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise ServiceError(f"supervisor: did not start: {done.stdout.strip()[-500:]}")
    supervisor = Supervisor(context)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not supervisor.answers():
        if time.monotonic() > deadline:
            raise ServiceError(
                f"supervisor: no answer within {_START_TIMEOUT_S:.0f} s; "
                f"see {paths.logs / 'supervisord.log'}"
            )
        time.sleep(0.05)


class Supervisor:
    """Calls supervisord; every call has a deadline and raises SupervisorUnavailable."""

    def __init__(self, context: Context, *, timeout: float = _RPC_TIMEOUT_S) -> None:
        self._socket = socket_path(context.paths.run)
        self._password = context.credentials.supervisor_password
        self._timeout = timeout

    def answers(self) -> bool:
        """Whether supervisord is up."""
        try:
            return str(self._call("getState")["statename"]) == "RUNNING"
        except SupervisorUnavailable:
            return False

    def states(self) -> dict[str, ProcessState]:
        """All programs by name."""
        return {
            str(info["name"]): ProcessState(
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                started=int(info["start"]),
                exit_status=int(info["exitstatus"]),
                error=str(info["spawnerr"]),
            )
            for info in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start a program unless it runs already; does not wait."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise ServiceError(f"{name}: supervisor: {fault.faultString}") from fault

    def stop(self, name: str) -> None:
        """Ask a program to stop; does not wait (its ``stop_within`` bounds it)."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise ServiceError(f"{name}: supervisor: {fault.faultString}") from fault

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program."""
        self._call("signalProcess", name, number.name.removeprefix("SIG"))

    def shutdown(self) -> None:
        """Ask supervisord to end."""
        self._call("shutdown")

    def _call(self, method: str, *args: object) -> Any:
        transport = _UnixTransport(self._socket, self._password, self._timeout)
        try:
            with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*args)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise SupervisorUnavailable(f"supervisor at {self._socket}: {error}") from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over supervisord's socket; its own transport has no time-out."""

    def __init__(self, path: Path, password: str, timeout: float) -> None:
        token = b64encode(f"{_USER}:{password}".encode()).decode()
        super().__init__(headers=[("Authorization", f"Basic {token}")])
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout)
        self._connection = (host, connection)  # the base class closes what it finds here
        return connection
