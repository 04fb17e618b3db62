"""``make bench-starrocks``: ratios of one run; the machine's own speed cancels out.

``emdata bench starrocks [--only NAME] [--rounds N] [--seconds S]``; some four minutes in all. Each
part can be run by itself with ``--only``. Exit code 1 when a pass bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench.figures import Figure, report
from tests.bench.starrocks.crowd import crowd_figures
from tests.bench.starrocks.data import Bare
from tests.bench.starrocks.pairs import (
    Sides,
    aggregate_figures,
    load_figures,
    point_figures,
    prepare,
    result_figures,
)
from tests.bench.starrocks.starting import start_figures
from tests.starrocks.running import RunningServer

PARTS: dict[str, Callable[[Sides, int, float], Iterator[Figure]]] = {
    "loads": lambda sides, rounds, _: load_figures(sides, rounds),
    "points": lambda sides, rounds, _: point_figures(sides, 100 * rounds),
    "aggregate": lambda sides, rounds, _: aggregate_figures(sides, 2 * rounds + 1),
    "results": lambda sides, rounds, _: result_figures(sides, rounds // 2 + 1),
    "crowd": lambda sides, _, seconds: crowd_figures(sides.server, seconds),
}


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="emdata bench starrocks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of the slow comparisons")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the crowd works")
    parser.add_argument("--only", action="append", default=[], choices=["start", *PARTS])
    given = parser.parse_args(arguments)
    chosen = given.only or ["start", *PARTS]
    began = time.monotonic()
    codes = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = RunningServer(Path(folder))
        stack.callback(server.stop)
        # The first start makes the files; it is no figure.
        server.start()
        if "start" in chosen:
            codes.append(report(list(start_figures(server))))
        bare = Bare.open(Path(folder) / "bare")
        stack.callback(bare.close)
        sides = Sides(server, bare)
        prepare(sides)
        for name, part in PARTS.items():
            if name in chosen:
                print(f"{name}: at {time.monotonic() - began:.0f} s", flush=True)
                codes += [report([figure]) for figure in part(sides, given.rounds, given.seconds)]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
