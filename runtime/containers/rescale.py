"""Keeps the landing jobs as parallel as there are TaskManagers.

Flink's adaptive scheduler gives a job the slots it asks for; how many it asks for is said here,
by Flink's REST interface for resource requirements (Flink 1.18 and newer). Window jobs stay at
one: their restore points belong to a parallelism.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emdata.settings import Settings
from emdata.telemetry import get_logger
from flink_jobs.records import read_records
from runtime.services.rest import get_json, put_json

log = get_logger(__name__)


def follow_taskmanagers(settings: Settings, jobs_file: Path) -> None:
    """Ask for ``EMDATA_LANDING_PARALLELISM`` a TaskManager where it is not so already.

    Raises NotReady when the JobManager does not answer.
    """
    port, host = settings.flink_rest_port, settings.flink_host
    managers = get_json(port, "/taskmanagers", host=host)["taskmanagers"]
    if not managers:
        return  # lost for a moment: the job waits for them as it is
    parallelism = len(managers) * settings.landing_parallelism
    for name, deployed in read_records(jobs_file).jobs.items():
        if deployed.job.kind != "landing":
            continue
        path = f"/jobs/{deployed.job_id}/resource-requirements"
        asked = get_json(port, path, host=host)
        wanted = requirements(asked, parallelism)
        if wanted != asked:
            put_json(port, path, wanted, host=host)
            log.info("landing_rescaled", job=name, parallelism=parallelism)


def requirements(asked: dict[str, Any], parallelism: int) -> dict[str, Any]:
    """Every vertex of a job between one and ``parallelism``, in the shape that Flink uses."""
    return {
        vertex: {"parallelism": {"lowerBound": 1, "upperBound": parallelism}} for vertex in asked
    }
