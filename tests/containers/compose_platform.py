"""A platform in containers in a home, a project and on ports of its own, for tests.

It is started by the same command that a user types. Where the published images cannot be pulled,
``standins.yml`` puts images from packages in their place; StarRocks is the embedded one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from emdata.settings import REPOSITORY
from runtime.containers.engine import Compose, Container
from runtime.containers.platform import compose_of
from tests.support.host import Host, environment_without_ours
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

PATIENCE_S = 300
START_TIMEOUT_S = 2400  # the first one builds images
STANDINS = "tests/containers/standins.yml"
JARS_IMAGE = "emdata/flink-build:test"
_PORTS = (
    *("EMDATA_KAFKA_PORT", "EMDATA_FLINK_REST_PORT", "STARROCKS_PORT"),
    *("EMDATA_STARROCKS_HTTP_PORT", "EMDATA_POSTGRES_PORT", "EMDATA_DAGSTER_PORT"),
    *("EMDATA_MANAGER_PORT", "EMDATA_SIMULATOR_PORT", "EMDATA_API_PORT"),
    *("EMDATA_PROMETHEUS_PORT", "EMDATA_GRAFANA_PORT"),
)
_SERVICES = {
    "manager": "scrapers",
    "taskmanager": "flink-taskmanager",
    "jobmanager": "flink-jobmanager",
    "starrocks": "starrocks-lite",
}


class ComposePlatform(Host):
    """One platform in containers; speaks as tests.support.platform.Platform does."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
        environment = {
            **environment_without_ours(),
            **ports,
            "PROFILE": "containers",
            "COMPOSE_PROFILES": "lite",
            "EMDATA_COMPOSE_FILES": STANDINS,
            "EMDATA_HOME": str(home),
            "EMDATA_TOOLS": os.environ.get("EMDATA_TOOLS", str(REPOSITORY / ".emdata" / "tools")),
            "SOURCES": "simulator",
            **builder(),
            **(settings or {}),
        }
        super().__init__(home, environment, PATIENCE_S)

    @cached_property
    def compose(self) -> Compose:
        """The project."""
        return compose_of(self.settings)

    def forget(self) -> None:
        """Read credentials and project anew; a restore replaced them."""
        for name in ("context", "compose"):
            self.__dict__.pop(name, None)

    def start(self, only: str = "") -> str:
        """Start it; returns what was printed."""
        arguments = ["start", *(["--only", only] if only else [])]
        return self.emdata(*arguments, timeout=START_TIMEOUT_S).stdout

    def containers(self, service: str) -> list[Container]:
        """The containers of a service."""
        name = _SERVICES.get(service, service)
        return [one for one in self.compose.containers() if one.service == name]

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows about a container."""
        done = subprocess.run(
            ["docker", "inspect", container], capture_output=True, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def started_at(self, service: str) -> str:
        """When the service's only container was last started."""
        (one,) = self.containers(service)
        return str(self.inspect(one.name)["State"]["StartedAt"])

    def is_well(self, service: str) -> bool:
        """Whether the service's only container passed a health check since it was last started.

        Right after a restart the engine may still show what the earlier process was.
        """
        (one,) = self.containers(service)
        state = self.inspect(one.name)["State"]
        started = datetime.fromisoformat(state["StartedAt"])
        return bool(state["Running"]) and any(
            check["ExitCode"] == 0 and datetime.fromisoformat(check["Start"]) > started
            for check in state["Health"]["Log"] or ()
        )

    def kill(self, service: str) -> str:
        """SIGKILL every process of the service from inside; returns when it had been started.

        `docker kill` would count as a stop that somebody wanted, after which nothing restarts.
        """
        name = _SERVICES.get(service, service)
        before = self.started_at(service)
        # The shell is killed too and the command fails: that is what is wanted.
        command = self.compose.command("exec", "-T", name, "sh", "-c", "kill -9 -1")
        subprocess.run(
            command, env=self.compose.environment, capture_output=True, timeout=60, check=False
        )
        return before

    def wait_restarted(self, service: str, before: str, timeout: float = 120) -> None:
        """Wait until a killed service runs anew and is healthy."""

        def restarted() -> bool:
            return self.started_at(service) != before and self.is_well(service)

        wait_for(restarted, timeout, f"{service} to be restarted", interval=0.5)

    def close(self) -> None:
        """Remove containers, networks and volumes."""
        self.emdata("stop", check=False)
        self.emdata("clean", "--yes", check=False)


def builder() -> dict[str, str]:
    """The classic builder where there is no buildx: one cache for `docker build` and Compose."""
    done = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False)
    return {} if done.returncode == 0 else {"DOCKER_BUILDKIT": "0"}


def build_standins() -> None:
    """Build the stage that holds the jars, which the stand-in for Kafka takes them from."""
    subprocess.run(
        [
            *("docker", "build", "--quiet", "--network", "host", "--target", "build"),
            *("--file", "deploy/images/flink.Dockerfile", "--tag", JARS_IMAGE, "."),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **builder()},
        check=True,
        capture_output=True,
        timeout=START_TIMEOUT_S,
    )


@contextmanager
def running_compose(
    only: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[ComposePlatform]:
    """A started platform in containers, removed with its volumes at the end."""
    home = Path(tempfile.mkdtemp(prefix="emdata-compose-"))
    platform = ComposePlatform(home, settings)
    try:
        try:
            platform.start(only)
            yield platform
        finally:
            platform.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
