"""Run dbt and hand its results to Dagster as materializations and check evaluations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import OpExecutionContext
from dagster_dbt import DbtCliResource

from emdata.errors import ServiceError
from emergency_pipeline.defs.models.translator import Translator
from emergency_pipeline.site import RAW_DATABASE, Site

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


def selection_of(tables: Sequence[str]) -> list[str]:
    """Return dbt arguments that select everything downstream of raw tables."""
    return ["--select", " ".join(f"source:{RAW_DATABASE}.{table}+" for table in tables)]


def known_tables(manifest: Mapping[str, Any], tables: Sequence[str]) -> list[str]:
    """Return those tables that dbt has as sources; others would only make it warn."""
    sources = {
        node["identifier"]
        for node in manifest["sources"].values()
        if node["schema"] == RAW_DATABASE
    }
    return [table for table in tables if table in sources]


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


def dbt_client(site: Site) -> DbtCliResource:
    """Return the dbt client, pointed at the project and at the profile of this platform.

    Raises ServiceError when the models were not prepared.
    """
    require_manifest(site)
    return DbtCliResource(
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
