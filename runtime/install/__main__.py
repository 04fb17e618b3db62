"""``python -m runtime.install LOCK TARGET``: fetch the locked jars and find a Java.

``python -m runtime.install --relock LOCK`` writes the checksums of an edited lock anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from emdata.errors import EmdataError
from runtime.install import find_java, install_jars
from runtime.install.jars import relock


def main(arguments: list[str]) -> int:
    """Exit code 0; 1 when something could not be installed (one line says why)."""
    if len(arguments) != 2:
        print("usage: python -m runtime.install LOCK TARGET | --relock LOCK", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "--relock":
            relock(Path(arguments[1]), environ=os.environ)
            return 0
        lock, target = map(Path, arguments)
        install_jars(lock, target, environ=os.environ, report=lambda line: print(line, flush=True))
        java = find_java(os.environ)
    except EmdataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"java: {java.version} ({java.origin}: {java.executable})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
