"""The stream manager's figures, on a broker and a PostgreSQL of their own.

``emdata bench stream [--only NAME] [--seconds S] [--pairs N] [--long]``. Exit code 1 when a pass
bar is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from tests.bench.figures import Figure, report
from tests.bench.firms import firms
from tests.bench.stream.broker_outage import broker_outage
from tests.bench.stream.burst import burst
from tests.bench.stream.latency import added, critical
from tests.bench.stream.options import Options, read
from tests.bench.stream.outage import outage
from tests.bench.stream.progress import forget, measured
from tests.bench.stream.rate import rate
from tests.bench.stream.restart import restart
from tests.bench.stream.servers import Servers, running_servers
from tests.bench.stream.shares import shares
from tests.bench.stream.standby import standby

BENCHMARKS: dict[str, Callable[[Servers, Options], list[Figure]]] = {
    "rate": rate,
    "burst": burst,
    "critical": critical,
    "added": added,
    "shares": shares,
    "broker_outage": broker_outage,
    "outage": outage,
    "restart": restart,
    "standby": standby,
    "firms": lambda _servers, _options: firms(),
}


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 when a bar is missed."""
    options = read(arguments, BENCHMARKS)
    chosen = options.only or tuple(BENCHMARKS)
    codes = []
    with running_servers() as servers:
        for name in chosen:
            print(f"{name}:", flush=True)
            measure = partial(BENCHMARKS[name], servers, options)
            codes.append(report(measured(name, measure, is_kept=options.is_long)))
    if options.is_long:
        forget()
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
