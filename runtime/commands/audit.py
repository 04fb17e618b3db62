"""``emdata audit``: the log of privileged acts and of reads of what is not public."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.command("verify")
def verify() -> None:
    """Check every entry and every anchor; exit 1 and name the first entry that is not right."""
    from emdata.audit_anchors import Anchors
    from emdata.state.audit_chain import verify as judged
    from emdata.state.database import connect
    from runtime.context import load_context
    from runtime.tasks import state_dsn

    context = load_context()
    anchors = Anchors.of(context.paths).all()
    key = context.credentials.audit_key.encode()
    verdict = judged(connect(state_dsn(context)), key, anchors)
    if verdict.fault is not None:
        print(f"entry {verdict.fault.seq}: {verdict.fault.what}")
        print(f"{verdict.entries} entries before it are as they were written")
        raise typer.Exit(1)
    print(f"{verdict.entries} entries, {len(anchors)} anchors: all as they were written")


@app.command("ls")
def entries(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest entries.")] = 20,
) -> None:
    """Print the newest entries, oldest of them first."""
    from emdata.contracts.identity import utc_text
    from emdata.state.audit_chain import entries_before
    from emdata.state.database import connect
    from runtime.context import load_context
    from runtime.tasks import state_dsn

    engine = connect(state_dsn(load_context()))
    for one in reversed(entries_before(engine, None, limit)):
        print(
            f"{one.seq}\t{utc_text(one.at)}Z\t{one.actor}\t{one.act}\t{one.subject}\t{one.details}"
        )
