"""The servers: what the supervisor says, what their probes say, and their memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import psutil

from runtime.context import Context
from runtime.processes import memory_mb, platform_processes
from runtime.services.base import NotReady, Service
from runtime.status.section import Cell
from runtime.supervisor import ProcessState, Supervisor, SupervisorUnavailable


@dataclass(frozen=True)
class ServiceView:
    """One server now.

    state: ready, or what keeps it from being ready (starting, not ready, stopped, crashing).
    Memory is in MB over all its processes; PSS counts shared pages once.
    """

    service: str
    state: str
    detail: str
    url: str
    pid: int
    uptime_s: int
    pss_mb: int
    rss_mb: int

    @property
    def is_ready(self) -> bool:
        """Whether the server does its work."""
        return self.state == "ready"


def service_views(context: Context, services: Sequence[Service]) -> list[ServiceView]:
    """All given servers, probed side by side."""
    try:
        states: Mapping[str, ProcessState] = Supervisor(context).states()
    except SupervisorUnavailable:
        states = {}
    processes: dict[str, list[psutil.Process]] = defaultdict(list)
    for found in platform_processes(context.paths.data):
        processes[found.service].append(found.process)
    with ThreadPoolExecutor(max(1, len(services))) as pool:
        return list(pool.map(lambda s: _view(s, states.get(s.name), processes[s.name]), services))


def rows(context: Context, services: Sequence[Service]) -> list[dict[str, Cell]]:
    """The views as rows."""
    return [asdict(view) for view in service_views(context, services)]


def _view(
    service: Service, state: ProcessState | None, processes: list[psutil.Process]
) -> ServiceView:
    text, detail = _state(service, state)
    pss, rss = memory_mb(processes)
    running = state is not None and state.is_running
    return ServiceView(
        service=service.name,
        state=text,
        detail=detail,
        url=service.url,
        pid=state.pid if state is not None and running else 0,
        uptime_s=max(0, int(time.time()) - state.started) if state is not None and running else 0,
        pss_mb=round(pss),
        rss_mb=round(rss),
    )


def _state(service: Service, state: ProcessState | None) -> tuple[str, str]:
    if state is None or state.state == "STOPPED":
        return "stopped", ""
    if not state.is_running:
        return "crashing" if state.state == "BACKOFF" else state.state.lower(), state.error
    try:
        return "ready", service.probe()
    except NotReady as error:
        return "not ready", str(error)
