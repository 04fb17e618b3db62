"""Takes the platform down in order, within bounds, and makes sure that nothing is left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from emdata.credentials import ensure_credentials
from emdata.errors import ServiceError
from emdata.paths import Mode, Paths
from emdata.settings import Settings
from runtime.context import Context
from runtime.install import find_java
from runtime.lock import platform_lock
from runtime.processes import Found, kill, platform_processes, terminate, wait_gone
from runtime.services.base import Service
from runtime.services.registry import all_services
from runtime.state_file import clear_state
from runtime.supervisor import Supervisor, SupervisorUnavailable, socket_path

_SHUTDOWN_S = 10.0
_MARGIN_S = 3.0
_DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})
_MODES: tuple[Mode, ...] = ("live", "simulator")

Say = Callable[[str], None]


def stop(settings: Settings, say: Say) -> int:
    """Stop whatever runs in this home; returns how many processes there were.

    Raises ServiceError when a process survives even SIGKILL.
    """
    if not settings.home.is_dir():
        return 0
    count = 0
    with platform_lock(settings.home, wait=20.0):
        for mode in _MODES:
            paths = Paths(settings, mode)
            found = platform_processes(paths.data)
            count += len(found)
            if found:
                _stop_platform(Context(settings, paths, ensure_credentials(settings)), say)
            elif paths.run.is_dir():
                clear_state(paths.run)
    return count


def emergency_stop(settings: Settings, say: Say) -> int:
    """Kill every process of this home's platforms, supervisor first; works when all else hangs."""
    killed = 0
    for mode in _MODES:
        paths = Paths(settings, mode)
        for _ in range(3):  # a supervisor that was killed last may have started something
            found = platform_processes(paths.data)
            if not found:
                break
            killed += len(found)
            kill([item for item in found if not item.service])
            kill([item for item in found if item.service])
        left = platform_processes(paths.data)
        if paths.run.is_dir():
            _finish(paths, left)
    say(f"killed {killed} processes" if killed else "nothing was running")
    return killed


def _stop_platform(context: Context, say: Say) -> None:
    try:
        _stop_stages(context, all_services(context, find_java(os.environ)), say)
    except SupervisorUnavailable:
        say("the supervisor does not answer; ending the processes one by one")
        left = platform_processes(context.paths.data)
        terminate(left, within=_SHUTDOWN_S)
    left = wait_gone(context.paths.data, within=_SHUTDOWN_S)
    if left:
        left = terminate(left, within=_SHUTDOWN_S)
    _finish(context.paths, left)


def _stop_stages(context: Context, services: list[Service], say: Say) -> None:
    supervisor = Supervisor(context)
    for stage in sorted({service.stop_stage for service in services}, reverse=True):
        states = supervisor.states()
        members = [
            service
            for service in services
            if service.stop_stage == stage
            and service.name in states
            and states[service.name].state not in _DOWN
        ]
        for service in members:
            supervisor.stop(service.name)
        _wait_stopped(supervisor, members)
        if members:
            say(f"  stopped {', '.join(service.name for service in members)}")
    supervisor.shutdown()


def _wait_stopped(supervisor: Supervisor, members: list[Service]) -> None:
    within = max((service.stop_within for service in members), default=0) + _MARGIN_S
    deadline = time.monotonic() + within
    names = {service.name for service in members}
    while time.monotonic() < deadline:
        states = supervisor.states()
        if all(states[name].state in _DOWN for name in names):
            return
        time.sleep(0.1)


def _finish(paths: Paths, left: list[Found]) -> None:
    if left:
        names = ", ".join(
            f"{item.service or 'supervisord'} (pid {item.process.pid})" for item in left
        )
        raise ServiceError(f"these processes cannot be ended: {names}; look at them with `ps`")
    clear_state(paths.run)
    socket_path(paths.run).unlink(missing_ok=True)
