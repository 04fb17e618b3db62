"""The environment of the supervised processes: the settings of the start, nothing left to .env."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from emdata.settings import Settings, environment_names
from runtime.context import Context
from runtime.install import Java

_DROPPED = ("PYTHONHOME", "VIRTUAL_ENV", "JAVA_TOOL_OPTIONS", "CLASSPATH")


def settings_environment(settings: Settings) -> dict[str, str]:
    """Every setting by its winning environment name, so that children see what ``start`` saw."""
    values: dict[str, str] = {}
    for field in Settings.model_fields:
        value = getattr(settings, field)
        if value is None or value == "":
            continue
        values[environment_names(field)[0]] = as_text(value)
    return values


def child_environment(context: Context, java: Java, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's environment, the settings in force and our programs first on the PATH.

    The mode is passed on as decided, so that a child never decides again.
    """
    kept = {name: value for name, value in environ.items() if name not in _DROPPED}
    path = os.pathsep.join(
        [str(context.paths.platform_bin), str(java.home / "bin"), kept.get("PATH", os.defpath)]
    )
    return {
        **kept,
        **settings_environment(context.settings),
        "SOURCES": context.paths.mode,
        "EMDATA_TOOLS": str(context.paths.tools),
        "JAVA_HOME": str(java.home),
        "DAGSTER_HOME": str(context.paths.dagster),
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc keeps an arena per thread; two halve the JVMs' slack
        "TZ": "UTC",
    }


def as_text(value: object) -> str:
    """A setting's value as an environment variable has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Path):
        return str(value)
    return str(value)
