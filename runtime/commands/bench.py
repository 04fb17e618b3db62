"""Benchmarks: each prints a line a figure and exits with 1 when a bar is missed."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

app = typer.Typer(help="Measure the platform on this machine.", no_args_is_help=True)


@app.command()
def footprint() -> None:
    """Time from a warm start to ready, and memory two minutes later (takes about six minutes).

    With PROFILE=containers, of containers.
    """
    from runtime.context import load

    _run("containers" if load().profile == "containers" else "footprint")


@app.command()
def landing() -> None:
    """How fast records land with one and two TaskManagers, in containers (10 minutes)."""
    _run("landing")


@app.command()
def latency() -> None:
    """Time from the last byte of a source's answer to its row on 9030."""
    _run("latency")


@app.command()
def starrocks(
    only: Annotated[
        list[str] | None,
        typer.Option(help="start, loads, points, aggregate, results or crowd; again for more"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="length of the sixteen clients' run")
    ] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of each comparison")] = 7,
) -> None:
    """The embedded StarRocks against bare DuckDB on the same rows, in one run."""
    names = [f"--only={name}" for name in only or ()]
    _run("starrocks", f"--seconds={seconds}", f"--rounds={rounds}", *names)


@app.command()
def stream(
    only: Annotated[
        list[str] | None, typer.Option(help="a benchmark's name, such as rate; again for more")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="length of a sustained run")] = 60.0,
    pairs: Annotated[int, typer.Option(min=1, help="pairs of control and manager")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="records an append")] = 1000,
    long: Annotated[bool, typer.Option("--long", help="all rounds; goes on where it stopped")] = (
        False
    ),
) -> None:
    """The stream manager against a plain producer: rates, latencies, shares, faults."""
    given = [f"--seconds={seconds}", f"--pairs={pairs}", f"--batch={batch}"]
    names = [f"--only={name}" for name in only or ()]
    _run("stream", *given, *names, *(["--long"] if long else []))


@app.command()
def api(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="cached, uncached, latency, limits, flood, export, bulk or sse; again for more"
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="length of a run of requests")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="pairs of each comparison")] = 5,
) -> None:
    """The open API against bare handlers, the driver alone and a file server, in one run."""
    names = [f"--only={name}" for name in only or ()]
    _run("api", f"--seconds={seconds}", f"--rounds={rounds}", *names)


def _run(name: str, *arguments: str) -> None:
    """Run ``tests.bench.<name>``; benchmarks start a platform as the tests do."""
    from emdata.settings import REPOSITORY

    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
    raise typer.Exit(subprocess.run(command, cwd=REPOSITORY, check=False).returncode)
