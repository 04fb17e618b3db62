"""``python -m runtime.install LOCK TARGET``: fetch the locked jars and find a Java."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from emdata.errors import EmdataError
from runtime.install import find_java, install_jars


def main(arguments: list[str]) -> int:
    """Exit code 0; 1 when something could not be installed (one line says why)."""
    if len(arguments) != 2:
        print("usage: python -m runtime.install LOCK TARGET", file=sys.stderr)
        return 2
    lock, target = map(Path, arguments)
    try:
        install_jars(lock, target, environ=os.environ, report=lambda line: print(line, flush=True))
        java = find_java(os.environ)
    except EmdataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"java: {java.version} ({java.origin}: {java.executable})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
