"""Removes everything that the platform wrote at run time; the installed tools stay."""

from __future__ import annotations

import shutil
from pathlib import Path

from emdata.errors import ServiceError
from emdata.paths import Paths
from emdata.settings import Settings
from runtime.lock import platform_lock
from runtime.processes import platform_processes


def what_to_remove(settings: Settings) -> list[Path]:
    """Data of both modes, credentials and the choice of sources, as far as they exist."""
    candidates = [
        Paths(settings, "live").data,
        Paths(settings, "simulator").data,
        settings.credentials_file,
        settings.home / "sources",
    ]
    return [path for path in candidates if path.exists()]


def remove(settings: Settings, paths: list[Path]) -> None:
    """Remove them; raises ServiceError while a process of the platform runs."""
    with platform_lock(settings.home, wait=2.0):
        for mode in ("live", "simulator"):
            if platform_processes(Paths(settings, mode).data):
                raise ServiceError("the platform runs; stop it first (`emdata stop`)")
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
