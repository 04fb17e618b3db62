"""`python -m embedded_starrocks`."""

from __future__ import annotations

import asyncio
import sys

from embedded_starrocks.config import parse_arguments
from embedded_starrocks.errors import StartupError
from embedded_starrocks.server import run


def main(arguments: list[str]) -> int:
    """0 after an orderly stop, 2 when the server cannot start."""
    try:
        asyncio.run(run(parse_arguments(arguments)))
    except StartupError as error:
        sys.stderr.write(f"embedded_starrocks: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
