"""Benchmarks: each prints a line a figure and exits with 1 when a bar is missed."""

from __future__ import annotations

import subprocess
import sys

import typer

app = typer.Typer(help="Measure the platform on this machine.", no_args_is_help=True)


@app.command()
def footprint() -> None:
    """Time from a warm start to ready, and memory two minutes later (takes about six minutes)."""
    _run("footprint")


@app.command()
def latency() -> None:
    """Time from the last byte of a source's answer to its row on 9030."""
    _run("latency")


def _run(name: str) -> None:
    """Run ``tests/bench/<name>.py``; benchmarks start a platform as the tests do."""
    from emdata.settings import REPOSITORY

    command = [sys.executable, "-m", f"tests.bench.{name}"]
    raise typer.Exit(subprocess.run(command, cwd=REPOSITORY, check=False).returncode)
