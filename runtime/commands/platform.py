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
