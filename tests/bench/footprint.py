"""How long a warm start takes and how much memory the platform holds.

A whole platform is started in a directory of its own (cold: databases, models, first data), stopped
and started again; that second start is the figure. Memory is the PSS of all its processes, runs of
Dagster included, two minutes after it was ready.
"""

from __future__ import annotations

import sys
import time

from runtime.processes import memory_mb, platform_processes
from tests.bench.figures import Figure, report
from tests.support.platform import running_platform

SETTLE_S = 120.0
START_BAR_S, START_AIM_S = 75.0, 45.0
MEMORY_BAR_MB, MEMORY_AIM_MB = 2500.0, 1800.0


def main() -> int:
    """Measure; exit code 1 when a bar is missed."""
    with running_platform() as platform:
        platform.stop()
        began = time.monotonic()
        print(platform.start(), flush=True)
        seconds = time.monotonic() - began
        time.sleep(SETTLE_S)
        processes = platform_processes(platform.paths.data)
        pss, rss = memory_mb([found.process for found in processes])
        by_service: dict[str, float] = {}
        for found in processes:
            size, _ = memory_mb([found.process])
            name = found.service or "supervisord"
            by_service[name] = by_service.get(name, 0.0) + size
        for name, size in sorted(by_service.items()):
            print(f"  {name:<16} {size:6.0f} MB PSS")
        print(f"  RSS of all {rss:.0f} MB, {len(processes)} processes", flush=True)
    return report(
        [
            Figure("warm_start_to_ready", seconds, "s", START_BAR_S, START_AIM_S),
            Figure("memory_pss", pss, "MB", MEMORY_BAR_MB, MEMORY_AIM_MB),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
