"""Start, stop and look at the platform."""

from __future__ import annotations

from typing import Annotated

import typer

Only = Annotated[str, typer.Option(help="comma-separated services; all when empty")]


def register(root: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (start, stop, restart):
        root.command()(command)
    root.command("emergency-stop")(emergency_stop)
    root.command("shell-kafka")(shell_kafka)
    root.command("db-connect")(db_connect)


def start(only: Only = "") -> None:
    """Start the platform; says so when it runs already."""
    from runtime.context import load
    from runtime.start import start as start_platform

    started = start_platform(load(), only, typer.echo)
    if started.was_running:
        typer.echo("the platform runs already")
    else:
        typer.echo(f"ready after {started.seconds:.1f} s")


def stop() -> None:
    """Stop the platform; no process is left."""
    import os

    from emdata.paths import read_mode
    from runtime.context import load, load_context
    from runtime.install import find_java
    from runtime.services.registry import all_services
    from runtime.stop import stop as stop_platform

    settings = load()
    if read_mode(settings) is None or not settings.credentials_file.exists():
        typer.echo("nothing was running")
        return
    context = load_context()
    count = stop_platform(context, all_services(context, find_java(os.environ)), typer.echo)
    typer.echo(f"stopped ({count} processes)" if count else "nothing was running")


def restart(only: Only = "") -> None:
    """Stop, then start."""
    stop()
    start(only)


def emergency_stop() -> None:
    """Kill every process of the platform at once, when `stop` does not help."""
    from runtime.context import load
    from runtime.stop import emergency_stop as kill_platform

    kill_platform(load(), typer.echo)


def shell_kafka(
    command: Annotated[str, typer.Option("-c", help="run this command and leave")] = "",
) -> None:
    """Open a shell with kafka-topics and its siblings on the PATH."""
    import os

    from runtime.context import load_context
    from runtime.install import find_java
    from runtime.services.kafka import TOOLS, write_tools

    context = load_context()
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
