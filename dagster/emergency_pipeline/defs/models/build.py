"""Run dbt and hand its results to Dagster as materializations and check evaluations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dagster import OpExecutionContext
from dagster_dbt.dbt_manifest import read_manifest_path

from emdata.dbt_project import project_of
from emdata.errors import ServiceError
from emergency_pipeline.defs.models.client import QuickDbtCliResource
from emergency_pipeline.defs.models.selection import (
    GEOGRAPHY,
    Relation,
    databases,
    missing_parents,
    selection_of,
)
from emergency_pipeline.defs.models.translator import Translator
from emergency_pipeline.site import Site

PARTIAL_PARSE = "partial_parse.msgpack"
PREPARE = "run `emdata dbt parse`, then restart the Dagster code server"


def require_manifest(site: Site) -> Path:
    """Return the manifest's path; raises ServiceError, which says how to make it, without one."""
    if not site.manifest.exists():
        raise ServiceError(
            f"dbt manifest {site.manifest} does not exist, so there are no models to build; "
            f"{PREPARE}"
        )
    return site.manifest


def selection_for(site: Site, tables: Sequence[str]) -> list[str]:
    """Return dbt arguments for the models downstream of ``tables`` and what those lack.

    Raises WarehouseUnavailable when StarRocks cannot be reached.
    """
    manifest = read_manifest_path(require_manifest(site))
    more = missing_parents(manifest, tables, _existing(site, databases(manifest)))
    if not project_of(site.paths).is_geography_marked():
        more.append(GEOGRAPHY)
    return selection_of(tables, more)


def _existing(site: Site, names: Sequence[str]) -> list[Relation]:
    places = ", ".join(["%s"] * len(names))
    rows = site.warehouse().query(
        "SELECT table_schema AS d, table_name AS t FROM information_schema.tables "
        f"WHERE table_schema IN ({places})",
        names,
    )
    return [(str(row["d"]), str(row["t"])) for row in rows]


def dbt_target(site: Site) -> Path:
    """Return the directory of dbt's artifacts, one for all builds, with the parse of the deploy.

    Runs never overlap (the run queue lets one through), so one directory is enough, and dbt need
    not parse the project again.
    """
    target = site.paths.dbt / "build"
    target.mkdir(parents=True, exist_ok=True)
    parsed, copy = site.paths.dbt / "target" / PARTIAL_PARSE, target / PARTIAL_PARSE
    if parsed.exists() and (not copy.exists() or copy.stat().st_mtime < parsed.stat().st_mtime):
        shutil.copy2(parsed, copy)
    return target


def dbt_client(site: Site) -> QuickDbtCliResource:
    """Return the dbt client, pointed at the project and at the profile of this platform.

    Raises ServiceError when the models were not prepared.
    """
    require_manifest(site)
    return QuickDbtCliResource(
        project_dir=str(site.paths.dbt_project),
        profiles_dir=str(site.paths.dbt),
        dbt_executable=str(site.dbt_executable),
    )


def run_dbt(context: OpExecutionContext, site: Site, arguments: Sequence[str]) -> Iterator[Any]:
    """Run dbt outside ``@dbt_assets`` and yield materializations and check evaluations.

    Raises DagsterDbtCliRuntimeError when a model or a test of severity error fails.
    """
    invocation = dbt_client(site).cli(
        list(arguments),
        manifest=require_manifest(site),
        dagster_dbt_translator=Translator(),
        context=context,
        target_path=dbt_target(site),
    )
    yield from invocation.stream()
    if GEOGRAPHY in " ".join(arguments).split() or "--select" not in arguments:
        project_of(site.paths).mark_geography()
