"""``emdata api``: the open API."""

from __future__ import annotations

import typer

app = typer.Typer(name="api", help="The open API.")


@app.callback()
def main() -> None:
    """Keep ``serve`` a command of its own."""


@app.command()
def serve() -> None:
    """Serve the open API until stopped."""
    from api.server import serve as run
    from runtime import context

    run(context.load_context().settings)
