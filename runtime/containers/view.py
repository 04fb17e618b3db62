"""What the containers are doing: status, health, troubleshooting, logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from emdata.errors import EmdataError, SettingError
from emdata.settings import Settings
from runtime.containers.engine import Compose, Container
from runtime.containers.platform import compose_of
from runtime.containers.preflight import check_engine
from runtime.context import Context
from runtime.doctor import Finding, manager_findings
from runtime.status import manager, tables
from runtime.status.section import Cell, Section, read_section

_GROUPS = {
    "manager": ("scrapers",),
    "dagster": ("dagster-code", "dagster-webserver", "dagster-daemon"),
    "flink": ("flink-jobmanager", "flink-taskmanager", "flink-deploy"),
    "starrocks": ("starrocks-fe", "starrocks-be", "starrocks-lite"),
}


def sections(context: Context) -> list[Section]:
    """The sections of `emdata status`, read side by side."""
    compose = compose_of(context.settings)
    readers: list[Callable[[], list[Section]]] = [
        lambda: [read_section("services", "Containers", lambda _: service_rows(compose), context)],
        lambda: manager.sections(context),
        lambda: [read_section("jobs", "Flink jobs", lambda _: job_rows(compose), context)],
        lambda: [read_section("tables", "Tables", tables.rows, context)],
    ]
    with ThreadPoolExecutor(len(readers)) as pool:
        return [section for group in pool.map(lambda read: read(), readers) for section in group]


def service_rows(compose: Compose) -> list[dict[str, Cell]]:
    """One row a container, with the memory it uses now in MB."""
    memory = compose.memory_mb()
    return [
        {
            "service": one.service,
            "container": one.name,
            "state": state(one),
            "detail": one.status,
            "memory_mb": round(memory.get(one.name, 0.0)),
        }
        for one in sorted(compose.containers(), key=lambda one: one.name)
    ]


def state(container: Container) -> str:
    """One word: ready, starting, unhealthy, done, failed, or the engine's own."""
    if container.state == "exited":
        return "done" if container.exit_code == 0 else "failed"
    if container.state != "running":
        return container.state
    return "ready" if container.is_ready else container.health


def job_rows(compose: Compose) -> list[dict[str, Cell]]:
    """The deployed jobs, asked where their record lies. Raises ServiceError."""
    # The command says by its exit code that a job is down; here its text is what counts.
    shell = "emdata flink status --json || true"
    views = json.loads(compose.ask("exec", "-T", "flink-deploy", "sh", "-c", shell))
    return [
        {
            "job": f"{view['name']} (rebuilding)" if view["rebuilding"] else view["name"],
            "kind": view["kind"],
            "state": view["state"],
            "checkpoint_age_s": view["checkpoint_age_s"],
            "tables": ", ".join(view["tables"]),
            "failure": view["failure"][:200],
        }
        for view in views
    ]


def health(settings: Settings) -> tuple[list[str], bool]:
    """One line a container, and whether all are ready."""
    containers = sorted(compose_of(settings).containers(), key=lambda one: one.name)
    lines = [f"{one.service:<20} {state(one):<12} {one.status}" for one in containers]
    return lines, bool(containers) and all(one.is_ready for one in containers)


def examine(settings: Settings) -> list[Finding]:
    """What is wrong with the engine, the containers and the platform in them."""
    findings = [Finding("engine", problem, "then run `make start`") for problem in check_engine()]
    if findings:
        return findings
    try:
        containers = compose_of(settings).containers()
    except SettingError:
        return [Finding("platform", f"{settings.home} was never started", "run `make start`")]
    if not containers:
        return [Finding("platform", "it does not run", "run `make start`")]
    for one in containers:
        if one.is_ready:
            continue
        what = f"{state(one)}: {one.status}"
        if one.exit_code == 137:
            what += " (killed: out of memory, if nobody did it)"
        findings.append(Finding(one.service, what, f"see `emdata logs {one.service}`"))
    compose = compose_of(settings)
    return [*findings, *jobs_findings(compose), *manager_findings(settings)]


def logs(settings: Settings, service: str, lines: int, *, follow: bool) -> int:
    """Show logs of all containers, of a service or of a group; returns the exit code.

    Raises SettingError listing the names that there are.
    """
    compose = compose_of(settings)
    known = sorted({one.service for one in compose.containers()})
    chosen = [name for name in _GROUPS.get(service, (service,)) if name in known] if service else []
    if service and not chosen:
        allowed = ", ".join([*known, *_GROUPS])
        raise SettingError("service", value=service, allowed=allowed, searched=["arguments"])
    options = ["--tail", str(lines), *(["--follow"] if follow else [])]
    try:
        return compose.run("logs", *options, *chosen)
    except KeyboardInterrupt:
        return 0


def jobs_findings(compose: Compose) -> list[Finding]:
    """Jobs that do not run."""
    try:
        rows = job_rows(compose)
    except EmdataError as error:
        return [Finding("flink", str(error), "see `emdata logs flink`")]
    return [
        Finding(f"flink job {row['job']}", str(row["state"]), "see `emdata logs flink`")
        for row in rows
        if row["state"] != "RUNNING"
    ]
