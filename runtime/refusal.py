"""How a command says that it was asked for something that cannot be."""

from __future__ import annotations

from typing import NoReturn

import typer


def refuse(text: str) -> NoReturn:
    """Print an error in one line and end with exit code 2."""
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(2)
