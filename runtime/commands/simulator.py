"""``emdata simulator``: run the simulator, and look into or change one that runs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(name="simulator", help="Simulated sources: run, look into, change.")

_Count = Annotated[int | None, typer.Option(help="Answers to spoil; default: until cleared.")]


@app.command()
def run(
    alerts: Annotated[
        int,
        typer.Option(
            min=1,
            max=2_000,
            envvar="EMDATA_SIMULATOR_ALERTS",
            help="Weather alerts active at a time, about; fixed once the world is made.",
        ),
    ] = 150,
) -> None:
    """Serve the simulated sources on this machine (EMDATA_BIND_HOST) until stopped."""
    from emdata.errors import EmdataError
    from emdata.paths import Paths
    from emdata.telemetry import configure_logging
    from runtime import context
    from simulator import server

    settings = context.load()
    configure_logging("simulator", settings.log_level)
    try:
        server.run(
            Paths(settings, "simulator").simulator,
            port=settings.simulator_port,
            seed=settings.simulator_seed,
            speed=settings.simulator_speed,
            active_alerts=alerts,
            host=settings.bind_host,
        )
    except EmdataError as error:
        context.fail(error)


@app.command()
def ledger(
    dataset: Annotated[str, typer.Argument(help="A dataset, for every version as NDJSON.")] = "",
) -> None:
    """Show what the simulator has served."""
    from simulator import client

    if dataset:
        typer.echo(
            _call(lambda: client.text(_address(), f"/_simulator/ledger/{dataset}")), nl=False
        )
    else:
        _show(_call(lambda: client.ask(_address(), "GET", "/_simulator/ledger")))


@app.command()
def fault(
    kind: Annotated[str, typer.Argument(help="429, 500, 503, html200, slow, ...; or 'clear'.")],
    host: Annotated[str, typer.Option(help="Only this host, such as www.fema.gov.")] = "",
    path_prefix: Annotated[str, typer.Option(help="Only paths such as /www.fema.gov/api.")] = "",
    retry_after: Annotated[str | None, typer.Option(help="Retry-After, sent verbatim.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of slow and hang.")] = 30.0,
    count: _Count = None,
) -> None:
    """Make a source misbehave, or clear all faults."""
    from simulator import client

    if kind == "clear":
        _show(_call(lambda: client.ask(_address(), "DELETE", "/_simulator/faults")))
        return
    body: dict[str, Any] = {"kind": kind, "host": host, "path_prefix": path_prefix}
    body |= {"retry_after": retry_after, "seconds": seconds, "count": count}
    _show(_call(lambda: client.ask(_address(), "POST", "/_simulator/faults", body)))


@app.command()
def clock(
    advance: Annotated[float, typer.Option(help="Seconds to move forward.")] = 0.0,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds per second.")] = None,
    freeze: Annotated[bool | None, typer.Option("--freeze/--thaw", help="Stop or go on.")] = None,
) -> None:
    """Show simulated time; move it, set its speed, stop it."""
    from simulator import client

    body = {"advance_seconds": advance, "speed": speed, "freeze": freeze}
    _show(_call(lambda: client.ask(_address(), "POST", "/_simulator/clock", body)))


@app.command()
def mutate(
    source: Annotated[str, typer.Argument(help="fema, nws, coagmet, usda or firms.")],
    mutation: Annotated[str, typer.Argument(help="Such as reload_bump; see docs/simulator.md.")],
    options: Annotated[str, typer.Option(help="JSON object with the mutation's options.")] = "{}",
) -> None:
    """Change the simulated world."""
    from simulator import client

    try:
        body = {**json.loads(options), source: mutation}
    except (ValueError, TypeError):
        raise typer.BadParameter("not a JSON object", param_hint="--options") from None
    _show(_call(lambda: client.ask(_address(), "POST", "/_simulator/mutations", body)))


def _address() -> str:
    from runtime import context

    settings = context.load()
    return f"http://{settings.simulator_host}:{settings.simulator_port}"


def _call(ask: Any) -> Any:
    """Ask the simulator; one that does not run or refuses is one line on standard error."""
    from emdata.errors import ServiceError
    from runtime import context

    try:
        return ask()
    except ServiceError as error:
        context.fail(error)


def _show(answer: object) -> None:
    typer.echo(json.dumps(answer, indent=2))
