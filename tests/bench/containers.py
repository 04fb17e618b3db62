"""How long a warm start in containers takes and how much memory each container holds.

The profiles of ``COMPOSE_PROFILES`` (default: lite), with stand-ins for published images where
``EMDATA_COMPOSE_FILES`` names them. Memory is what `docker stats` says two minutes after the start:
the control group's, without the page cache.
"""

from __future__ import annotations

import os
import sys
import time

from tests.bench.figures import Figure, report
from tests.containers.compose_platform import STANDINS, build_standins, running_compose

SETTLE_S = 120.0
START_BAR_S, START_AIM_S = 300.0, 120.0
MEMORY_BAR_MB, MEMORY_AIM_MB = {"lite": 3500.0, "starrocks": 7000.0}, 2500.0


def main() -> int:
    """Measure; exit code 1 when a bar is missed."""
    profiles = os.environ.get("COMPOSE_PROFILES", "lite")
    files = os.environ.get("EMDATA_COMPOSE_FILES", STANDINS)
    if STANDINS in files:
        build_standins()
    settings = {"COMPOSE_PROFILES": profiles, "EMDATA_COMPOSE_FILES": files}
    with running_compose(settings=settings) as platform:
        platform.emdata("stop")
        began = time.monotonic()
        print(platform.start(), flush=True)
        seconds = time.monotonic() - began
        time.sleep(SETTLE_S)
        memory = platform.compose.memory_mb()
        for name, size in sorted(memory.items()):
            print(f"  {name:<50} {size:6.0f} MB")
    kind = "lite" if "lite" in profiles.split(",") else "starrocks"
    return report(
        [
            Figure("containers_warm_start_to_ready", seconds, "s", START_BAR_S, START_AIM_S),
            Figure(
                "containers_memory", sum(memory.values()), "MB", MEMORY_BAR_MB[kind], MEMORY_AIM_MB
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
