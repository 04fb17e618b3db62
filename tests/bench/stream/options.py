"""How a run is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """seconds: of a sustained run. pairs: of control and manager. batch: records an append.

    only: names of benchmarks; empty: all. is_long: also the rows that take hours.
    """

    seconds: float = 60.0
    pairs: int = 3
    batch: int = 1000
    only: tuple[str, ...] = ()
    is_long: bool = False


def read(arguments: Sequence[str], names: Iterable[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="emdata bench stream", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(names), default=[])
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--pairs", type=int, default=Options.pairs)
    parser.add_argument("--batch", type=int, default=Options.batch)
    parser.add_argument("--long", action="store_true")
    found = parser.parse_args(arguments)
    return Options(found.seconds, found.pairs, found.batch, tuple(found.only), found.long)
