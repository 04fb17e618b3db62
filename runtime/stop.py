"""Takes the platform down in order, within bounds, and makes sure that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from emdata.errors import ServiceError
from emdata.paths import Paths
from emdata.settings import Settings
from runtime.context import Context
from runtime.lock import platform_lock
from runtime.processes import Found, kill, platform_processes, terminate, wait_gone
from runtime.services.base import Service
from runtime.state_file import clear_state
from runtime.supervisor import Supervisor, SupervisorUnavailable, socket_path

_SHUTDOWN_S = 10.0
_MARGIN_S = 3.0

Say = Callable[[str], None]


def stop(context: Context, services: list[Service], say: Say) -> int:
    """Stop all services, later stages first; returns how many processes there were.

    Raises ServiceError when a process survives even SIGKILL.
    """
    with platform_lock(context.settings.home, wait=20.0):
        found = platform_processes(context.paths.data)
        if not found:
            clear_state(context.paths.run)
            return 0
        try:
            _stop_stages(context, services, say)
        except SupervisorUnavailable:
            say("the supervisor does not answer; ending the processes one by one")
        left = wait_gone(context.paths.data, within=_SHUTDOWN_S)
        if left:
            left = terminate(left, within=_SHUTDOWN_S)
        _finish(context.paths, left)
        return len(found)


def emergency_stop(settings: Settings, say: Say) -> int:
    """Kill every process of this home's platforms, supervisor first; works when all else hangs."""
    killed = 0
    for mode in ("live", "simulator"):
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


def _stop_stages(context: Context, services: list[Service], say: Say) -> None:
    supervisor = Supervisor(context)
    for stage in sorted({service.stop_stage for service in services}, reverse=True):
        states = supervisor.states()
        members = [
            service
            for service in services
            if service.stop_stage == stage
            and service.name in states
            and states[service.name].state not in ("STOPPED", "EXITED", "FATAL")
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
        if all(states[name].state in ("STOPPED", "EXITED", "FATAL") for name in names):
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
