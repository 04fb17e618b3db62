"""Finds and ends the processes of one platform.

Every supervised process carries a marker in its environment that names the data directory, so a
process is recognized after a crash of the supervisor and never confused with another platform's
or with a recycled pid.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

MARKER = "EMDATA_PLATFORM"
SERVICE = "EMDATA_SERVICE"
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


@dataclass(frozen=True)
class Found:
    """A living process of the platform; ``service`` is empty for the supervisor itself."""

    process: psutil.Process
    service: str


def platform_processes(data: Path) -> list[Found]:
    """All living processes of the platform of this data directory, children included."""
    found: dict[int, Found] = {}
    for process in psutil.process_iter():
        try:
            environ = process.environ()
        except (*_GONE, OSError):
            continue
        if environ.get(MARKER) == str(data):
            found[process.pid] = Found(process, environ.get(SERVICE, ""))
    for parent in list(found.values()):  # a server may overwrite the environment of its children
        for child in _children(parent.process):
            found.setdefault(child.pid, Found(child, parent.service))
    return [item for item in found.values() if _alive(item.process)]


def terminate(found: Iterable[Found], *, within: float) -> list[Found]:
    """Ask processes to end, kill them after ``within`` seconds; returns what is still alive."""
    items = list(found)
    for item in items:
        _send(item, signal.SIGINT if item.service == "postgres" else signal.SIGTERM)
    psutil.wait_procs([item.process for item in items], timeout=within)
    return kill([item for item in items if _alive(item.process)])


def kill(found: Iterable[Found], *, within: float = 5.0) -> list[Found]:
    """Kill processes at once; returns what is still alive after ``within`` seconds.

    PostgreSQL gets SIGQUIT first (an immediate shutdown that frees its shared memory).
    """
    items = list(found)
    database = [item for item in items if item.service == "postgres"]
    for item in items:
        _send(item, signal.SIGQUIT if item in database else signal.SIGKILL)
    psutil.wait_procs([item.process for item in database], timeout=2)
    for item in database:
        _send(item, signal.SIGKILL)
    psutil.wait_procs([item.process for item in items], timeout=within)
    return [item for item in items if _alive(item.process)]


def port_holder(port: int) -> str | None:
    """Who listens on a TCP port: ``pid 12, command``; None when nobody does."""
    process = port_process(port)
    if process is None:
        return None
    try:
        command = " ".join(process.cmdline())[:120] or process.name()
    except _GONE:
        command = "?"
    return f"pid {process.pid}, {command}"


def port_process(port: int) -> psutil.Process | None:
    """The process that listens on a TCP port, as far as we may see it."""
    for connection in _listeners():
        if connection.laddr.port == port and connection.pid:
            try:
                return psutil.Process(connection.pid)
            except psutil.NoSuchProcess:
                continue
    return None


def memory_mb(processes: Iterable[psutil.Process]) -> tuple[float, float]:
    """Sums of (PSS, RSS) in MB; shared pages count once in PSS."""
    pss = rss = 0.0
    for process in processes:
        try:
            info = process.memory_full_info()
        except (*_GONE, OSError):
            continue
        rss += info.rss
        pss += getattr(info, "pss", info.rss)
    return pss / 1e6, rss / 1e6


def wait_gone(data: Path, *, within: float) -> list[Found]:
    """Wait until no process of the platform is left; returns what is left."""
    deadline = time.monotonic() + within
    while left := platform_processes(data):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return left


def _listeners() -> Iterator[Any]:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows only one's own processes, one by one
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN:
            yield connection


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except _GONE:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False


def _send(item: Found, number: signal.Signals) -> None:
    try:
        item.process.send_signal(number)  # psutil checks the start time, so pids cannot be reused
    except _GONE:
        return
