"""Deploy the Flink jobs and look at them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Flink jobs: landing and windows.", no_args_is_help=True)


@app.command()
def plan(
    sql: Annotated[bool, typer.Option("--sql", help="SQL instead of JSON")] = False,
) -> None:
    """Print the planned jobs; nothing is contacted, no password is shown."""
    import msgspec

    from flink_jobs.deploy import planned_jobs
    from runtime.context import load_context

    context = load_context()
    jobs = planned_jobs(context.settings, context.paths)
    if not sql:
        typer.echo(msgspec.json.format(msgspec.json.encode(jobs), indent=2).decode())
        return
    for job in jobs:
        typer.echo(f"-- {job.name} ({job.kind}, hash {job.hash[:8]})")
        for statement in (*job.setup, *job.inserts):
            typer.echo(f"{statement};\n")


@app.command()
def deploy(
    wait: Annotated[
        float, typer.Option(help="seconds to wait for the servers; the client starts meanwhile")
    ] = 0.0,
    rebuild: Annotated[
        list[str] | None,
        typer.Option(help="a windows job whose state is given up and built anew; repeatable"),
    ] = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="bring back lost jobs, change nothing else")
    ] = False,
) -> None:
    """Deploy every job; exit 1 when one is not as planned, and say what runs instead."""
    import os

    from emdata.telemetry import configure_logging
    from flink_jobs.deploy import Order, start_session
    from flink_jobs.deploy import deploy as deploy_jobs
    from flink_jobs.readiness import wait_for_servers
    from runtime.context import load_context
    from runtime.install import find_java

    context = load_context()
    settings, paths = context.settings, context.paths
    configure_logging("flink-deploy", settings.log_level)
    environ = {**os.environ, "JAVA_HOME": str(find_java(os.environ).home)}
    order = Order(rebuild=tuple(rebuild or ()), only_missing=only_missing)
    session = start_session(settings, paths, environ) if wait > 0 else None
    try:
        if wait > 0:
            wait_for_servers(settings, wait)
        report = deploy_jobs(settings, paths, environ=environ, order=order, session=session)
    finally:
        if session is not None:
            session.close()
    for outcome in report.outcomes:
        state = "ok" if outcome.ok else "FAILED"
        detail = f": {outcome.detail}" if outcome.detail else ""
        typer.echo(f"{outcome.name:<20} {outcome.action:<8} {state}{detail}")
    changed = len(report.changed)
    typer.echo(f"{len(report.outcomes)} jobs, {changed} changed, {report.seconds:.1f} s")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text")] = False,
) -> None:
    """Print every deployed job with its vertices' state and the age of its last checkpoint."""
    import msgspec

    from emdata.clock import SystemClock
    from flink_jobs.status import job_views
    from runtime.context import load_context

    context = load_context()
    views = job_views(context.settings, context.paths, SystemClock())
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(views), indent=2).decode())
    else:
        for view in views:
            age = "-" if view.checkpoint_age_s is None else f"{view.checkpoint_age_s:.1f} s ago"
            name = f"{view.name} (rebuilding)" if view.rebuilding else view.name
            typer.echo(f"{name:<30} {view.state:<24} checkpoint {age:<12} {view.failure}")
        if not views:
            typer.echo("no job is deployed; run `emdata flink deploy`")
    if not views or not all(view.is_running for view in views):
        raise typer.Exit(1)
