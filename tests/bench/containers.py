"""How long a warm start in containers takes and how much memory each container holds.

The profiles of ``COMPOSE_PROFILES`` (default: lite), with stand-ins for published images where
``EMDATA_COMPOSE_FILES`` names them. Memory is what `docker stats` says two minutes after the start:
the control group's, without the page cache. What cannot run here is calculated: the sum of the
memory limits of every profile's containers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from emdata.settings import REPOSITORY
from tests.bench.figures import Figure, report
from tests.containers.compose_platform import (
    STANDINS,
    ComposePlatform,
    build_standins,
    running_compose,
)

SETTLE_S = 120.0
START_BAR_S, START_AIM_S = 300.0, 120.0
MEMORY_BAR_MB, MEMORY_AIM_MB = {"lite": 3500.0, "starrocks": 7000.0}, 2500.0


PROFILES = ("lite", "starrocks", "lite,monitoring", "starrocks,ui,monitoring,mqtt")


def limits_mb(platform: ComposePlatform, profiles: str) -> float:
    """The sum of the memory limits of the containers that stay, in MB (10^6)."""
    compose = platform.compose
    done = subprocess.run(
        [
            *("docker", "compose", "--project-name", compose.project),
            *("--file", str(REPOSITORY / "docker-compose.yml")),
            *(f"--profile={profile}" for profile in ("simulator", *profiles.split(","))),
            *("config", "--format", "json"),
        ],
        env=compose.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    services = json.loads(done.stdout)["services"]
    stay = (one for name, one in services.items() if name != "migrations")
    return sum(float(one["mem_limit"]) for one in stay) / 1e6


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
        for combination in PROFILES:
            limits = limits_mb(platform, combination)
            print(f"  limits of {combination:<40} {limits:6.0f} MB (calculated)")
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
