"""TaskManagers of a platform in containers, and how parallel its landing jobs are."""

from __future__ import annotations

from runtime.services.rest import get_json
from tests.containers.compose_platform import ComposePlatform
from tests.support.waiting import wait_for

TASKMANAGER = "flink-taskmanager"


def landing(platform: ComposePlatform) -> set[int]:
    """Parallelism of the vertices of the landing jobs, empty while one does not run."""
    port, found = platform.settings.flink_rest_port, set()
    for job in get_json(port, "/jobs/overview", timeout=10)["jobs"]:
        if not job["name"].startswith("landing") or job["state"] in ("CANCELED", "FAILED"):
            continue
        for vertex in get_json(port, f"/jobs/{job['jid']}", timeout=10)["vertices"]:
            if vertex["status"] != "RUNNING":
                return set()
            found.add(vertex["parallelism"])
    return found


def scale(platform: ComposePlatform, count: int) -> None:
    """Run so many TaskManagers, as a user would ask for."""
    options = ("--detach", "--no-recreate", "--scale", f"{TASKMANAGER}={count}")
    assert platform.compose.run("up", *options, TASKMANAGER) == 0


def wait_landing(platform: ComposePlatform, count: int, timeout: float = 60) -> None:
    """Wait until every landing job runs so parallel."""
    wait_for(lambda: landing(platform) == {count}, timeout, f"landing at {count}", interval=0.5)
