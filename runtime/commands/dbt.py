"""`emdata dbt ...`: dbt with this platform's project, profile and directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from emdata.dbt_project import DbtProject, project_of
from runtime.context import Context, load_context

app = typer.Typer(
    help="Models: generate staging, parse, build, test, document.", no_args_is_help=True
)

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command()
def generate() -> None:
    """Write sources and staging from the contracts into the dbt project."""
    from emdata.settings import REPOSITORY

    changed = DbtProject(REPOSITORY / "dbt_project", Path()).write_generated()
    print(f"{len(changed)} generated files changed")


@app.command()
def parse() -> None:
    """Generate, write the profile and parse: the manifest that Dagster reads."""
    platform = load_context()
    raise typer.Exit(run(_ready(platform), ["parse"]))


@app.command()
def prepare(
    force: Annotated[bool, typer.Option(help="load the geography even if it is there")] = False,
) -> None:
    """Parse, and load seeds and counties unless the warehouse has them in this version."""
    platform = load_context()
    project = _ready(platform)
    if not force and has_geography(platform, project):
        raise typer.Exit(run(project, ["parse"]))
    # Tests that also read models of other tags wait until those are built.
    only = ["--select", "tag:geography", "--indirect-selection", "buildable"]
    code = run(project, ["build", *only])
    if code == 0:
        project.mark_geography()
    raise typer.Exit(code)


@app.command(context_settings=_PASS_ON)
def build(context: typer.Context) -> None:
    """Build and test models; further arguments go to dbt, such as --select tag:nws."""
    _pass_on("build", context)


@app.command(context_settings=_PASS_ON)
def test(context: typer.Context) -> None:
    """Test models; further arguments go to dbt."""
    _pass_on("test", context)


@app.command(context_settings=_PASS_ON)
def docs(context: typer.Context) -> None:
    """Write dbt's documentation site into the data directory (dbt docs generate)."""
    platform = load_context()
    project = _ready(platform)
    code = run(project, ["docs", "generate", "--static", *context.args])
    if code == 0:
        print(f"open {project.target / 'static_index.html'}")
    raise typer.Exit(code)


def run(project: DbtProject, command: list[str]) -> int:
    """Run dbt of this environment and return its exit code; its output passes through."""
    dbt = Path(sys.executable).parent / "dbt"
    return subprocess.run([str(dbt), *project.arguments(command)], check=False).returncode


def has_geography(platform: Context, project: DbtProject) -> bool:
    """Whether the warehouse holds the counties of this version of the seeds.

    Raises WarehouseUnavailable when StarRocks cannot be reached.
    """
    from emdata.warehouse import Warehouse

    if not project.is_geography_marked():
        return False
    settings = platform.settings
    warehouse = Warehouse.of(settings, platform.credentials.starrocks_password)
    found = warehouse.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
        "AND table_name IN ('geo_states', 'dim_county', 'int_county_edges')",
        [settings.starrocks_database],
    )
    return len(found) == 3


def _ready(platform: Context) -> DbtProject:
    project = project_of(platform.paths)
    project.write_generated()
    project.write_profile(platform.settings, platform.credentials.starrocks_transformer_password)
    return project


def _pass_on(command: str, context: typer.Context) -> None:
    raise typer.Exit(run(_ready(load_context()), [command, *context.args]))
