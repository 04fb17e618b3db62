"""Shows the logs of the services, and follows them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from emdata.errors import SettingError
from runtime.context import Context

_GROUPS = {
    "dagster": ("dagster-code", "dagster-web", "dagster-daemon"),
    "flink": ("jobmanager", "taskmanager", "flink-client"),
    "start": ("start-models",),
}


def log_files(context: Context, service: str) -> list[Path]:
    """The log files of a service or a group of them; of everything for an empty name.

    Raises SettingError listing the names that have a log.
    """
    logs = context.paths.logs
    found = sorted(logs.glob("*.log"))
    if not service:
        return found
    names = _GROUPS.get(service, (service,))
    chosen = [file for file in found if file.stem in names]
    if not chosen:
        allowed = sorted({*(file.stem for file in found), *_GROUPS})
        raise SettingError(
            "service", value=service, allowed=", ".join(allowed), searched=[str(logs)]
        )
    return chosen


def show(files: list[Path], lines: int, *, follow: bool) -> int:
    """Print the last lines with `tail`, which also copes with rotation."""
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0
