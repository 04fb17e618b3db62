"""`emdata serve`: one service in the foreground, as in a container."""

from __future__ import annotations

from typing import Annotated

import typer


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command(name="serve")(serve)
    root.command(name="probe", hidden=True)(probe)


def serve(
    service: Annotated[
        str,
        typer.Argument(
            help="migrations, flink-deploy, dagster-code, dagster-webserver, dagster-daemon, "
            "starrocks (embedded)"
        ),
    ],
) -> None:
    """Run one service in the foreground; for containers, whose engine supervises it."""
    from emdata.telemetry import configure_logging
    from runtime.containers.serve import serve as serve_one
    from runtime.context import load_context

    context = load_context()
    configure_logging(service, context.settings.log_level)
    serve_one(context, service)


def probe(service: Annotated[str, typer.Argument(help="a service of docker-compose.yml")]) -> None:
    """Ask this container's service whether it does its work; exit code 1 when it does not."""
    from runtime.containers.probe import probe as probe_one
    from runtime.context import load_context
    from runtime.services.base import NotReady

    try:
        typer.echo(probe_one(load_context(), service) or "ready")
    except NotReady as error:
        typer.echo(f"not ready: {error}")
        raise typer.Exit(1) from None
