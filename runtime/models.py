"""Prepares dbt during a start: only what changed since the last one is parsed or loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from emdata.dbt_project import DbtProject, project_of
from runtime.commands.dbt import has_geography
from runtime.context import Context

_WRITTEN_BY_DBT = frozenset({"target", "logs", "dbt_packages"})


def prepare(context: Context, run: Callable[[], str]) -> str:
    """Run ``run`` (``emdata dbt prepare``) unless the manifest and the geography are current."""
    project = project_of(context.paths)
    project.write_generated()
    project.write_profile(context.settings, context.credentials.starrocks_transformer_password)
    mark = context.paths.dbt / "prepared"
    current = fingerprint(project)
    known = mark.read_text(encoding="utf-8") if mark.exists() else ""
    if known == current and project.manifest.exists() and has_geography(context, project):
        return "unchanged"
    run()
    mark.write_text(current, encoding="utf-8")
    return "prepared"


def fingerprint(project: DbtProject) -> str:
    """A hash over everything that a parse reads: the project, the profile, dbt's version."""
    digest = hashlib.sha256()
    for name in ("dbt-core", "dbt-starrocks"):
        digest.update(f"{name} {version(name)}\n".encode())
    files = [file for file in project.project.rglob("*") if file.is_file()]
    for file in sorted([*files, project.state / "profiles.yml"]):
        if not _WRITTEN_BY_DBT & set(_parts(file, project.project)):
            digest.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _parts(file: Path, project: Path) -> tuple[str, ...]:
    return file.relative_to(project).parts if file.is_relative_to(project) else ()
