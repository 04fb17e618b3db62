"""Programs of the operating system; those of servers are not on everybody's path."""

from __future__ import annotations

import os
import shutil

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def find_program(name: str) -> str | None:
    """Return where a program is, None without it."""
    return shutil.which(name, path=_PATH)
