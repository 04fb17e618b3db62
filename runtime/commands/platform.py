"""Start, stop and look at the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from emdata.settings import Settings
    from runtime.context import Context
    from runtime.services.base import Service

Only = Annotated[str, typer.Option(help="comma-separated services; all when empty")]
_REFRESH_S = 2.0


def register(root: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (start, stop, restart, status, health, troubleshoot, logs, clean):
        root.command()(command)
    root.command("emergency-stop")(emergency_stop)
    root.command("shell-kafka")(shell_kafka)
    root.command("db-connect")(db_connect)
    root.command("watchdog", hidden=True)(watchdog)


def start(only: Only = "") -> None:
    """Start the platform; says so when it runs already."""
    from emdata.telemetry import configure_logging
    from runtime.context import load
    from runtime.start import start as start_platform
    from runtime.status.report import print_services

    configure_logging("start", "WARNING")
    settings = load()
    if settings.profile == "containers":
        _start_containers(settings, only)
        return
    started = start_platform(settings, only, typer.echo)
    print_services(started.context, started.services)
    if started.was_running:
        typer.echo("the platform runs already")
    else:
        typer.echo(f"ready after {started.seconds:.1f} s")


def stop() -> None:
    """Stop the platform; no process is left."""
    from runtime.context import load
    from runtime.stop import stop as stop_platform

    settings = load()
    if settings.profile == "containers":
        from runtime.containers.platform import stop as stop_containers

        count, what = stop_containers(settings, typer.echo), "containers"
    else:
        count, what = stop_platform(settings, typer.echo), "processes"
    typer.echo(f"stopped ({count} {what})" if count else "nothing was running")


def restart(only: Only = "") -> None:
    """Stop, then start."""
    stop()
    start(only)


def emergency_stop() -> None:
    """Kill every process of the platform at once, when `stop` does not help."""
    from runtime.context import load
    from runtime.stop import emergency_stop as kill_platform

    settings = load()
    if settings.profile == "containers":
        from runtime.containers.platform import kill as kill_containers

        kill_containers(settings, typer.echo)
        return
    kill_platform(settings, typer.echo)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="refresh until Ctrl-C")] = False,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="print the passwords instead")
    ] = False,
) -> None:
    """Show servers, sources, ledger, queues, Flink jobs and tables."""
    import json
    from functools import partial

    from rich.console import Console
    from rich.live import Live

    from emdata.clock import SystemClock
    from runtime.context import load_context
    from runtime.status import report
    from runtime.status.section import Section

    context = load_context()
    if credentials:
        typer.echo(context.credentials.dotenv(), nl=False)
        return
    if context.settings.profile == "containers":
        from runtime.containers import view

        read: Callable[[], list[Section]] = partial(view.sections, context)
    else:
        read = partial(report.read_sections, context, _chosen(context))

    if as_json:
        data = report.as_data(context, read(), SystemClock())
        typer.echo(json.dumps(data, indent=2, default=str))
        return
    if not follow:
        Console().print(report.as_tables(context, read()))
        return
    import time

    with Live(report.as_tables(context, read()), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(_REFRESH_S)
            live.update(report.as_tables(context, read()), refresh=True)


def health() -> None:
    """One line a server; exit code 1 when one is not ready."""
    from runtime.context import load_context
    from runtime.status.services import service_views

    context = load_context()
    if context.settings.profile == "containers":
        from runtime.containers.view import health as container_health

        lines, is_ready = container_health(context.settings)
        typer.echo("\n".join(lines))
        raise typer.Exit(0 if is_ready else 1)
    views = service_views(context, _chosen(context))
    for view in views:
        typer.echo(f"{view.service:<16} {view.state:<12} {view.detail}".rstrip())
    if not all(view.is_ready for view in views):
        raise typer.Exit(1)


def troubleshoot() -> None:
    """Find what is wrong and say what to do; exit code 1 when something is."""
    from runtime.context import load
    from runtime.doctor import examine

    settings = load()
    if settings.profile == "containers":
        from runtime.containers.view import examine as examine_containers

        findings = examine_containers(settings)
    else:
        findings = examine(settings)
    for finding in findings:
        typer.echo(f"{finding.where}: {finding.what}\n    -> {finding.remedy}")
    if findings:
        typer.echo(f"{len(findings)} found")
        raise typer.Exit(1)
    typer.echo("nothing wrong found")


def logs(
    service: Annotated[str, typer.Argument(help="a service, dagster, flink or start")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="lines of each file")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until Ctrl-C")] = False,
) -> None:
    """Show the logs of all services or of one."""
    from runtime.context import load_context
    from runtime.logs import log_files, show

    context = load_context()
    if context.settings.profile == "containers":
        from runtime.containers.view import logs as container_logs

        raise typer.Exit(container_logs(context.settings, service, lines, follow=follow))
    raise typer.Exit(show(log_files(context, service), lines, follow=follow))


def clean(
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove all data, logs and credentials; asks first. The installed tools stay."""
    from runtime.clean import remove, what_to_remove
    from runtime.context import load

    settings = load()
    if settings.profile == "containers":
        from runtime.containers.platform import clean as clean_containers

        typer.echo(f"This removes the containers of {settings.home} with their volumes.")
        if not yes:
            typer.confirm("All data is lost. Go on?", abort=True)
        clean_containers(settings, typer.echo)
        return
    paths = what_to_remove(settings)
    if not paths:
        typer.echo(f"nothing to remove in {settings.home}")
        return
    typer.echo("This removes:\n" + "".join(f"  {path}\n" for path in paths), nl=False)
    if not yes:
        typer.confirm("All data is lost. Go on?", abort=True)
    remove(settings, paths)
    typer.echo("removed")


def shell_kafka(
    command: Annotated[str, typer.Option("-c", help="run this command and leave")] = "",
) -> None:
    """Open a shell with kafka-topics and its siblings on the PATH."""
    import os

    from runtime.context import load_context
    from runtime.install import find_java
    from runtime.services.kafka import TOOLS, write_tools

    context = load_context()
    if context.settings.profile == "containers":
        from runtime.containers.platform import kafka_shell

        kafka_shell(context.settings, command)
        return
    folder = write_tools(context, find_java(os.environ))
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    shell = os.environ.get("SHELL", "/bin/sh")
    if command:
        os.execve("/bin/sh", ["sh", "-c", command], environment)  # noqa: S606 (the user's own)
    typer.echo(f"Kafka at {context.settings.kafka_servers}; {', '.join(TOOLS)}; leave with exit")
    os.execve(shell, [shell], environment)  # noqa: S606 (the user's own shell)


def db_connect(
    command: Annotated[str, typer.Option("-c", help="run this statement and leave")] = "",
) -> None:
    """Open the mysql client on StarRocks; without one, a small prompt of our own."""
    from runtime.console import connect
    from runtime.context import load_context

    connect(load_context(), command)


def watchdog() -> None:
    """Bring back Flink jobs that the cluster lost, until stopped."""
    from emdata.clock import SystemClock
    from emdata.telemetry import configure_logging
    from runtime.context import load_context
    from runtime.observing import observed
    from runtime.watchdog import missing_jobs, watch

    context = load_context()
    configure_logging("watchdog", context.settings.log_level)
    jobs_file, port = context.paths.flink_jobs_file, context.settings.flink_rest_port
    watch(observed(context, SystemClock(), lambda: missing_jobs(jobs_file, port)))


def _start_containers(settings: Settings, only: str) -> None:
    from runtime.containers.platform import start as start_containers
    from runtime.containers.view import health as container_health

    up = start_containers(settings, only, typer.echo)
    typer.echo("\n".join(container_health(settings)[0]))
    if up.compose.mode == "simulator":
        typer.echo("SIMULATED DATA: nothing here happened")
    was = "the platform runs already" if up.was_running else f"ready after {up.seconds:.1f} s"
    typer.echo(was)


def _chosen(context: Context) -> list[Service]:
    """The services of the last start; all when there was none."""
    import os

    from runtime.install import find_java
    from runtime.services.registry import all_services
    from runtime.state_file import read_state

    services = all_services(context, find_java(os.environ))
    state = read_state(context.paths.run)
    if state is None:
        return services
    return [service for service in services if service.name in state.chosen]
