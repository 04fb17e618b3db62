"""What is checked before anything starts; every problem is one line that says what to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from emdata.settings import REPOSITORY, Settings
from runtime.install import Java, missing_jars, read_jar_lock
from runtime.processes import MARKER, port_holder, port_process
from runtime.services.base import Service

MEMORY_MB = 2500
DISK_MB = 2000
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def check_python() -> list[str]:
    """Python 3.11 is the newest that PyFlink 1.20 supports."""
    version = platform.python_version()
    if version.startswith("3.11."):
        return []
    return [f"python: 3.11 is needed, this is {version} ({sys.executable}); use start.sh"]


def check_memory(needed_mb: int = MEMORY_MB) -> list[str]:
    """Enough memory for all servers, within a container's limit as well."""
    available = available_memory_mb()
    if available >= needed_mb:
        return []
    return [f"memory: {available} MB available, {needed_mb} MB needed; close other programs"]


def available_memory_mb() -> int:
    """Available memory in MB: the machine's, or what a container's limit leaves."""
    available = psutil.virtual_memory().available // 1_000_000
    try:
        limit, used = _CGROUP_LIMIT.read_text().strip(), _CGROUP_USED.read_text().strip()
    except OSError:
        return int(available)
    if limit == "max":
        return int(available)
    return int(min(available, (int(limit) - int(used)) // 1_000_000))


def check_home(home: Path, needed_mb: int = DISK_MB) -> list[str]:
    """The home can be written and its disk has room."""
    existing = next(parent for parent in (home, *home.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [f"home: {existing} cannot be written; change EMDATA_HOME or its permissions"]
    free = shutil.disk_usage(existing).free // 1_000_000
    if free < needed_mb:
        return [
            f"disk: {free} MB free at {existing}, {needed_mb} MB needed; "
            "free space or set EMDATA_HOME to another disk"
        ]
    return []


def check_ports(ports: Mapping[str, int], data: Path) -> list[str]:
    """Ports are distinct and free; one held by this very platform is not a problem."""
    problems: list[str] = []
    owner: dict[int, str] = {}
    for name, port in ports.items():
        if port in owner:
            problems.append(f"port {port}: {name} and {owner[port]} are the same; change one")
            continue
        owner[port] = name
        process = port_process(port)
        if process is not None and _belongs(process, data):
            continue
        holder = port_holder(port)
        if holder is not None:
            problems.append(f"port {port} is taken by {holder}; stop it or set {name}")
        elif not _can_bind(port):
            problems.append(f"port {port} is taken by a process we may not see; set {name}")
    return problems


def check_installation(settings: Settings, lock: Path | None = None) -> list[str]:
    """Jars and the Flink environment are installed."""
    tools = settings.tools_dir
    problems: list[str] = []
    missing = missing_jars(
        read_jar_lock(lock or REPOSITORY / "requirements/jars.lock"), tools / "jars"
    )
    if missing:
        names = ", ".join(jar.filename for jar in missing[:3])
        problems.append(
            f"installation: {len(missing)} jars are missing or damaged in {tools / 'jars'} "
            f"({names} ...); run `make dev-setup`"
        )
    if not (tools / "flink" / "bin" / "python").exists():
        problems.append(f"installation: {tools / 'flink'} is missing; run `make dev-setup`")
    return problems


def preflight(
    settings: Settings, services: Iterable[Service], data: Path, java: Java | None
) -> list[str]:
    """All problems found, one line each; empty when the platform can start."""
    chosen = list(services)
    ports = {name: port for service in chosen for name, port in service.ports.items()}
    problems = check_python() + check_home(settings.home)
    if len(chosen) > 3:
        problems += check_memory()
    if java is None:
        problems.append("java: no Java 17 or newer; run `make dev-setup`")
    return problems + check_ports(ports, data) + check_installation(settings)


def _belongs(process: psutil.Process, data: Path) -> bool:
    try:
        return process.environ().get(MARKER) == str(data)
    except (psutil.Error, OSError):
        return False


def _can_bind(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
