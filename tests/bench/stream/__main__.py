"""The stream manager's figures, on a broker and a PostgreSQL of their own.

``emdata bench stream [--only NAME] [--seconds S] [--pairs N] [--long]``. Exit code 1 when a pass
bar is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from tests.bench.figures import Figure, report
from tests.bench.stream.options import Options, read
from tests.bench.stream.rate import rate
from tests.bench.stream.servers import Servers, running_servers

BENCHMARKS: dict[str, Callable[[Servers, Options], list[Figure]]] = {"rate": rate}


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 when a bar is missed."""
    options = read(arguments, BENCHMARKS)
    chosen = options.only or tuple(BENCHMARKS)
    codes = []
    with running_servers() as servers:
        for name in chosen:
            print(f"{name}:", flush=True)
            codes.append(report(BENCHMARKS[name](servers, options)))
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
