"""`emdata settings`: what can be set, and what is set."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="What can be set, and what is set.", no_args_is_help=True)


@app.command()
def example(
    check: Annotated[
        bool, typer.Option("--check", help="change nothing; exit 1 when it is out of date")
    ] = False,
) -> None:
    """Write .env.example from the settings."""
    from emdata.settings import REPOSITORY
    from runtime.reference.pages import write_pages
    from runtime.reference.settings import env_example

    if not write_pages({REPOSITORY / ".env.example": env_example()}, check=check):
        raise typer.Exit(1)


@app.command()
def show() -> None:
    """Print every setting in force by its name; passwords are hidden."""
    from pydantic import SecretStr

    from emdata.settings import Settings, environment_names
    from runtime.context import load
    from runtime.environment import as_text

    settings = load()
    for field in Settings.model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            shown = "(hidden)"
        else:
            shown = "" if value is None else as_text(value)
        typer.echo(f"{environment_names(field)[0]}={shown}")
