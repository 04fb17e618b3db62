"""``make bench-api``: ratios to bare handlers and drivers, taken in turns in one run.

``emdata bench api [--only NAME] [--rounds N] [--seconds S]``; a platform of its own is started.
Exit code 1 when a pass bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.api.world import World
from tests.bench.api.bulk import bulk_figures
from tests.bench.api.exports import export_figures
from tests.bench.api.fairness import flood_figures, limit_figures
from tests.bench.api.items import cached_figures, latency_figures, uncached_figures
from tests.bench.api.streams import stream_figures
from tests.bench.api.world import EXPORT_ROWS, ITEMS_ROWS, bench_world, fill
from tests.bench.figures import Figure, report

Part = Callable[[World, Path, int, float], Iterator[Figure]]
SMALL: dict[str, Part] = {
    "cached": cached_figures,
    "uncached": uncached_figures,
    "latency": latency_figures,
    "limits": limit_figures,
    "flood": flood_figures,
}
LARGE: dict[str, Part] = {"export": export_figures, "bulk": bulk_figures}
STREAMS = "sse"


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="emdata bench api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each comparison")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a run of requests")
    names = [*SMALL, *LARGE, STREAMS]
    parser.add_argument("--rows", type=int, default=EXPORT_ROWS, help="rows of an export")
    parser.add_argument("--only", action="append", default=[], choices=names)
    given = parser.parse_args(arguments)
    chosen = set(given.only or names)
    codes = [0]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:

        def run(world: World, parts: dict[str, Part]) -> None:
            for name, part in parts.items():
                if name in chosen:
                    print(f"{name}: at {time.monotonic() - began:.0f} s", flush=True)
                    found = part(world, Path(folder), given.rounds, given.seconds)
                    codes.extend(report([figure]) for figure in found)

        if chosen & {*SMALL, *LARGE}:
            with bench_world() as world:
                fill(world, ITEMS_ROWS)
                run(world, SMALL)
                if chosen & set(LARGE):
                    fill(world, max(given.rows - ITEMS_ROWS, 0), ITEMS_ROWS + 1)
                    run(world, LARGE)
        if STREAMS in chosen:
            with bench_world(only="postgres,starrocks,kafka,api") as world:
                run(world, {STREAMS: stream_figures})
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
