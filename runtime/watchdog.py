"""Brings back Flink jobs that the cluster lost.

A JobManager that was restarted knows no jobs: nothing on one machine plays the part of a highly
available cluster's store. The watchdog asks its REST interface and redeploys what is missing. It
runs all the time, so it imports little and leaves the deployment to a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from emdata.telemetry import get_logger
from runtime.services.base import LOOPBACK, NotReady
from runtime.services.rest import get_json

PAUSE_S = 5.0
_CONFIRMATIONS = 2  # a job that is being replaced is missing for a moment
_DEPLOY_WAIT_S = 120
_ENDED = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})
_REDEPLOY = ("flink", "deploy", "--only-missing", "--wait", str(_DEPLOY_WAIT_S))

log = get_logger(__name__)


def missing_jobs(jobs_file: Path, rest_port: int, rest_host: str = LOOPBACK) -> list[str]:
    """Names of the recorded jobs that the cluster does not run.

    Raises NotReady while the JobManager does not answer, or while the record cannot be read.
    """
    try:
        recorded = json.loads(jobs_file.read_text(encoding="utf-8"))["jobs"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError) as error:
        raise NotReady(f"{jobs_file}: {error}") from error
    overview = get_json(rest_port, "/jobs/overview", timeout=10.0, host=rest_host)
    alive = {job["jid"] for job in overview["jobs"] if job["state"] not in _ENDED}
    return sorted(name for name, job in recorded.items() if job["job_id"] not in alive)


def redeploy() -> int:
    """Run `emdata flink deploy --only-missing`; returns its exit code."""
    return subprocess.run([sys.executable, "-m", "runtime", *_REDEPLOY], check=False).returncode


def _pause() -> bool:
    time.sleep(PAUSE_S)
    return True


def watch(
    missing: Callable[[], list[str]],
    bring_back: Callable[[], int] = redeploy,
    pause: Callable[[], bool] | None = None,
) -> None:
    """Look until ``pause`` returns false; act on jobs that are missing twice in a row."""
    seen = 0
    while (pause or _pause)():
        try:
            names = missing()
        except NotReady:
            continue
        seen = seen + 1 if names else 0
        if seen >= _CONFIRMATIONS:
            log.warning("flink_jobs_missing", jobs=names)
            log.info("flink_jobs_redeployed", exit_code=bring_back())
            seen = 0
