"""Brings the platform up: checks, credentials, servers and what they need, in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from emdata.clock import SystemClock
from emdata.credentials import ensure_credentials
from emdata.errors import EmdataError, ServiceError
from emdata.paths import Paths
from emdata.settings import Settings
from runtime import mode, tasks
from runtime.context import Context
from runtime.environment import child_environment
from runtime.flink_start import FlinkStart
from runtime.install import Java, find_java
from runtime.lock import platform_lock
from runtime.preflight import preflight
from runtime.processes import platform_processes, terminate
from runtime.readiness import wait_ready
from runtime.services.base import NotReady, Service
from runtime.services.registry import all_services, away, choose
from runtime.state_file import StartState, read_state, write_state
from runtime.steps import Outcome, Step, run_steps
from runtime.supervisor import Supervisor, check_path, launch, render

_LEFTOVERS_S = 15.0

Say = Callable[[str], None]


class PreflightFailed(EmdataError):
    """Something outside the platform must be changed first; one line per problem."""

    code = "preflight"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Started:
    """A platform that is up; ``was_running`` when there was nothing to do."""

    context: Context
    services: list[Service]
    was_running: bool
    seconds: float


def start(settings: Settings, only: str, say: Say) -> Started:
    """Start the platform, or what ``only`` names of it; returns when everything is ready.

    Raises SettingError, PreflightFailed, or ServiceError naming every step that failed. What came
    up stays up: the next start goes on from there.
    """
    began = time.monotonic()
    check_path(settings.home)
    settings = mode.ask_contact(settings)
    with platform_lock(settings.home, wait=2.0):
        context = _context(settings, say)
        java = find_java(os.environ)
        services = all_services(context, java)
        chosen = choose(services, only)
        supervisor = Supervisor(context)
        if supervisor.answers():
            if _runs_with_other_settings(context, services):
                raise ServiceError(
                    "the platform runs with other settings; `emdata restart` applies the new ones"
                )
            if _is_ready(context, chosen):
                return Started(context, chosen, True, time.monotonic() - began)
        else:
            _clear_leftovers(context, say)
        problems = preflight(settings, chosen, context.paths.data, java)
        if problems:
            raise PreflightFailed(problems)
        if not supervisor.answers():
            launch(context, services, child_environment(context, java, os.environ))
        _remember(context, chosen, is_ready=False, seconds=0.0)
        _run(context, java, chosen, supervisor, say)
        seconds = time.monotonic() - began
        _remember(context, chosen, is_ready=True, seconds=seconds)
        return Started(context, chosen, False, seconds)


def _context(settings: Settings, say: Say) -> Context:
    decided = mode.decide(settings, say)
    other = Paths(settings, "live" if decided == "simulator" else "simulator")
    if platform_processes(other.data):
        raise ServiceError(
            f"the platform of {settings.home} runs with {other.mode} data; stop it first"
        )
    paths = Paths(settings, decided)
    paths.data.mkdir(parents=True, exist_ok=True)
    return Context(settings, paths, ensure_credentials(settings))


def _runs_with_other_settings(context: Context, services: list[Service]) -> bool:
    conf = context.paths.run / "supervisord.conf"
    return conf.exists() and conf.read_text(encoding="utf-8") != render(context, services)


def _is_ready(context: Context, chosen: list[Service]) -> bool:
    state = read_state(context.paths.run)
    if state is None or not state.is_ready or not {s.name for s in chosen} <= set(state.chosen):
        return False
    try:
        for service in chosen:
            service.probe()
    except NotReady:
        return False
    return True


def _clear_leftovers(context: Context, say: Say) -> None:
    """End what a killed supervisor left behind, so that no server runs without one."""
    left = platform_processes(context.paths.data)
    if not left:
        return
    say(f"cleaning up {len(left)} processes that an earlier run left behind")
    alive = terminate(left, within=_LEFTOVERS_S)
    if alive:
        names = ", ".join(f"{item.service} (pid {item.process.pid})" for item in alive)
        raise ServiceError(f"processes of an earlier run cannot be ended: {names}")


def _remember(context: Context, chosen: list[Service], *, is_ready: bool, seconds: float) -> None:
    earlier = read_state(context.paths.run)
    names = set(earlier.chosen) if earlier and is_ready else set()
    names |= {service.name for service in chosen}
    state = StartState(
        chosen=tuple(sorted(names)),
        is_ready=is_ready,
        started_at=SystemClock().now().isoformat(),
        seconds=round(seconds, 1),
    )
    write_state(context.paths.run, state)


def _run(
    context: Context, java: Java, chosen: list[Service], supervisor: Supervisor, say: Say
) -> None:
    steps = [_service_step(context, service, supervisor) for service in chosen]
    jobs = FlinkStart(context, java)
    names = {service.name for service in chosen}
    steps += tasks.tasks(context, java, names, away(context), jobs)

    def report(outcome: Outcome) -> None:
        if outcome.error is None:
            detail = f" ({outcome.text})" if outcome.text else ""
            say(f"  {outcome.after:5.1f} s  {outcome.name} ready{detail}")
        else:
            say(f"  {outcome.after:5.1f} s  {outcome.name} FAILED")

    try:
        outcomes = run_steps(steps, report)
    finally:
        jobs.close()
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        raise ServiceError("\n".join(str(outcome.error) for outcome in failed))


def _service_step(context: Context, service: Service, supervisor: Supervisor) -> Step:
    def run() -> str:
        if not supervisor.states()[service.name].is_running:
            service.prepare()
            supervisor.start(service.name)
        return wait_ready(service, supervisor, context.paths.logs / f"{service.name}.log")

    return Step(service.name, run, service.needs)
