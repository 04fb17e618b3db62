"""`emdata troubleshoot`: finds what is wrong and says what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from emdata.clock import SystemClock
from emdata.credentials import read_credentials
from emdata.errors import EmdataError, SettingError
from emdata.paths import Paths, read_mode
from emdata.settings import Settings
from runtime import preflight
from runtime.context import Context
from runtime.install import find_java
from runtime.install.java import JavaNotFound
from runtime.processes import platform_processes
from runtime.services.base import NotReady, Service
from runtime.services.registry import all_services
from runtime.services.rest import get_json
from runtime.state_file import read_state
from runtime.status.services import ServiceView, service_views

DISK_LOW_MB = 1_000
MEMORY_LOW_MB = 300
CHECKPOINT_OLD_S = 120.0
LAG_HIGH = 10_000
CRASHES = 3
_CRASH_WINDOW = timedelta(minutes=10)
_DIED = re.compile(r"^(\S+ \S+),\d+ \w+ exited: (\S+) \(")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where, what, and what to do."""

    where: str
    what: str
    remedy: str


def examine(settings: Settings) -> list[Finding]:
    """Everything found wrong on this machine and in this platform; empty when all is well."""
    findings = _machine(settings)
    try:
        mode = read_mode(settings)
    except SettingError as error:
        return [*findings, Finding("settings", str(error), "correct it, then start again")]
    if mode is None or not settings.credentials_file.exists():
        return [*findings, *_before_first_start(settings)]
    context = Context(settings, Paths(settings, mode), read_credentials(settings))
    return findings + _platform(context)


def _machine(settings: Settings) -> list[Finding]:
    findings = [
        Finding("machine", problem, "see above")
        for problem in preflight.check_python() + preflight.check_home(settings.home, DISK_LOW_MB)
    ]
    available = preflight.available_memory_mb()
    if available < MEMORY_LOW_MB:
        findings.append(
            Finding(
                "memory",
                f"{available} MB available",
                "close other programs, or lower EMDATA_*_HEAP_MB and EMDATA_STARROCKS_MEMORY_MB",
            )
        )
    for problem in preflight.check_installation(settings):
        findings.append(Finding("installation", problem, "run `make dev-setup`"))
    return findings


def _before_first_start(settings: Settings) -> list[Finding]:
    return [
        Finding("platform", f"{settings.home} was never started", "run `make start`"),
    ]


def _platform(context: Context) -> list[Finding]:
    try:
        services = all_services(context, find_java(os.environ))
    except JavaNotFound as error:
        return [Finding("java", str(error), "run `make dev-setup`")]
    running = platform_processes(context.paths.data)
    state = read_state(context.paths.run)
    if not running:
        ports = {name: port for service in services for name, port in service.ports.items()}
        findings = [
            Finding("ports", problem, "then run `make start`")
            for problem in preflight.check_ports(ports, context.paths.data)
        ]
        if state is not None:
            what = "the platform was started and does not run"
            return [*findings, Finding("platform", what, "run `make start`; it cleans up")]
        return [*findings, Finding("platform", "it does not run", "run `make start`")]
    findings = []
    if not any(not found.service for found in running):
        findings.append(
            Finding("supervisor", "it is dead, its servers still run", "run `make start`")
        )
    if state is not None and not state.is_ready:
        findings.append(
            Finding("start", "the last start did not come to its end", "run `make start` again")
        )
    chosen = [s for s in services if state is None or s.name in state.chosen]
    views = {view.service: view for view in service_views(context, chosen)}
    findings += _services(context, chosen, views)
    checks: list[tuple[str, Callable[[Context], list[Finding]]]] = [
        ("jobmanager", _jobs),
        ("manager", lambda context: manager_findings(context.settings)),
        ("kafka", _lag),
    ]
    for service, check in checks:
        if service in views and views[service].is_ready:
            findings += check(context)
    return findings


def _services(
    context: Context, chosen: list[Service], views: dict[str, ServiceView]
) -> list[Finding]:
    findings = []
    for service in chosen:
        view = views[service.name]
        if not view.is_ready:
            what = f"{view.state}: {view.detail}" if view.detail else view.state
            findings.append(
                Finding(service.name, what, f"see `emdata logs {service.name}`; `make start` again")
            )
    for name, count in crash_loops(context, SystemClock().now()).items():
        findings.append(
            Finding(
                name,
                f"died {count} times within {_CRASH_WINDOW.seconds // 60} minutes",
                f"it dies by itself: see `emdata logs {name}`",
            )
        )
    return findings


def crash_loops(context: Context, now: datetime) -> dict[str, int]:
    """Programs that ended by themselves more than three times within ten minutes.

    Times in its log are local to the process, which runs with TZ=UTC.
    """
    counts: dict[str, int] = {}
    log = context.paths.logs / "supervisord.log"
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        match = _DIED.match(line)
        if match is None:
            continue
        at = datetime.strptime(match.group(1), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        if now - at <= _CRASH_WINDOW:
            counts[match.group(2)] = counts.get(match.group(2), 0) + 1
    return {name: count for name, count in counts.items() if count > CRASHES}


def _jobs(context: Context) -> list[Finding]:
    from flink_jobs.status import job_views

    try:
        views = job_views(context.settings, context.paths, SystemClock())
    except EmdataError as error:
        return [Finding("flink", str(error), "see `emdata logs flink`")]
    findings = []
    for view in views:
        name = f"flink job {view.name}"
        if not view.is_running:
            cause = f" ({view.failure[:200]})" if view.failure else ""
            what = f"{view.state}{cause}"
            remedy = "see `emdata logs flink`; `emdata flink deploy` brings it back"
            findings.append(Finding(name, what, remedy))
        elif view.checkpoint_age_s is None or view.checkpoint_age_s > CHECKPOINT_OLD_S:
            age = "never" if view.checkpoint_age_s is None else f"{view.checkpoint_age_s:.0f} s ago"
            remedy = "a table it writes may be missing: `emdata migrate`; see `emdata logs flink`"
            findings.append(Finding(name, f"last checkpoint {age}", remedy))
    return findings


def manager_findings(settings: Settings) -> list[Finding]:
    """What the stream manager says is wrong: sources, buffer, servers it cannot reach."""
    try:
        status = get_json(settings.manager_port, "/status", timeout=10.0)
    except NotReady as error:
        return [Finding("manager", str(error), "see `emdata logs manager`")]
    findings = []
    for source in status.get("sources", []):
        last_error = source.get("last_error")
        if last_error and source.get("failures", 0):
            what = f"{source['failures']} polls failed: {last_error}"
            remedy = "check the connection; `emdata logs manager`; others go on meanwhile"
            findings.append(Finding(f"source {source.get('stream')}", what[:300], remedy))
    buffer = status.get("buffer", {})
    if buffer.get("is_kafka_connected") is False:
        findings.append(
            Finding("buffer", "Kafka cannot be reached; records wait", "see `emdata logs kafka`")
        )
    if buffer.get("is_state_reachable") is False:
        findings.append(
            Finding("buffer", "PostgreSQL cannot be reached", "see `emdata logs postgres`")
        )
    used, limit = buffer.get("bytes", 0), buffer.get("max_bytes", 0)
    if limit and used > 0.9 * limit:
        findings.append(
            Finding(
                "buffer",
                f"{used // 1_000_000} of {limit // 1_000_000} MB used: LOW records are deferred",
                "bring Kafka back, or raise EMDATA_BUFFER_MAX_MB",
            )
        )
    return findings


def _lag(context: Context) -> list[Finding]:
    from runtime.lag import consumer_lag

    try:
        lags = consumer_lag(context.settings)
    except EmdataError as error:
        return [Finding("kafka", str(error), "see `emdata logs kafka`")]
    return [
        Finding(
            f"consumer group {lag.group}",
            f"{lag.records} records behind on {lag.topic}",
            "the job is slow or stands still: `emdata flink status`, `emdata logs flink`",
        )
        for lag in lags
        if lag.records > LAG_HIGH
    ]
