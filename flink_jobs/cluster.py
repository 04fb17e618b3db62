"""Submitting, stopping and watching single jobs on the cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from emdata.clock import Clock
from emdata.errors import ServiceError
from emdata.paths import Paths
from emdata.telemetry import get_logger
from flink_jobs.errors import FlinkRefused, FlinkUnavailable
from flink_jobs.plan import Job
from flink_jobs.records import Deployed
from flink_jobs.rest import TERMINAL, FlinkRest, Health
from flink_jobs.session import Session

log = get_logger(__name__)
_POLL_S = 0.25


@dataclass(frozen=True)
class Cluster:
    """What a deployment asks of Flink. Times are in seconds."""

    rest: FlinkRest
    session: Session
    paths: Paths
    stop_within: float
    gone_within: float
    clock: Clock

    def submit(self, job: Job, restore: str | None) -> Deployed:
        """Submit a job, from ``restore`` if given."""
        job_id = self.session.submit(job, restore)
        log.info("flink_job_submitted", job=job.name, job_id=job_id, restored_from=restore)
        return Deployed(
            job=job,
            job_id=job_id,
            checkpoints=str(self.paths.checkpoints / job_id),
            deployed_at=self.clock.now().isoformat(timespec="seconds"),
            restored_from=restore,
        )

    def stop(self, deployed: Deployed) -> Deployed:
        """Stop a job with a savepoint, which flushes its sinks and commits its offsets.

        A job that cannot make one in time (its table refuses loads) is canceled instead: it goes
        on from its committed offsets or its newest checkpoint, so nothing is lost. Returns the
        record with the savepoint, if there is one.
        """
        if not self.is_alive(deployed.job_id):
            return deployed
        savepoint = self._savepoint(deployed.job_id)
        if savepoint is None:
            self.cancel(deployed.job_id)
            return deployed
        self._wait_gone(deployed.job_id)
        return msgspec.structs.replace(deployed, savepoint=savepoint)

    def cancel(self, job_id: str) -> None:
        """Cancel a job and wait until it is gone."""
        try:
            self.rest.cancel(job_id)
        except FlinkRefused:
            log.info("flink_job_already_gone", job_id=job_id)
        self._wait_gone(job_id)

    def is_alive(self, job_id: str) -> bool:
        """Whether the cluster still works on a job."""
        return self.rest.state(job_id) not in TERMINAL | {"NOT_FOUND"}

    def wait_healthy(self, jobs: Mapping[str, Deployed], timeout: float) -> dict[str, str]:
        """Wait until every job runs whole and has completed a checkpoint of its own.

        Returns, by name, what is wrong with those that did not get there in ``timeout`` seconds.
        """
        waiting = dict(jobs)
        health: dict[str, Health | None] = dict.fromkeys(jobs)
        deadline = time.monotonic() + timeout
        while waiting and time.monotonic() < deadline:
            for name, deployed in list(waiting.items()):
                health[name] = self._health(deployed.job_id)
                if _is_done(health[name]):
                    del waiting[name]
            if all(_is_terminal(health[name]) for name in waiting):
                break
            time.sleep(_POLL_S)
        return {name: _problem(health[name], timeout) for name in waiting}

    def _savepoint(self, job_id: str) -> str | None:
        deadline = time.monotonic() + self.stop_within
        try:
            trigger = self.rest.stop(job_id, self.paths.savepoints.as_uri())
            while time.monotonic() < deadline:
                progress, text = self.rest.savepoint(job_id, trigger)
                if progress == "done":
                    return text
                if progress == "failed":
                    log.warning("savepoint_failed", job_id=job_id, cause=text)
                    return None
                time.sleep(_POLL_S)
        except FlinkRefused as error:
            log.warning("savepoint_failed", job_id=job_id, cause=str(error))
            return None
        log.warning("savepoint_timed_out", job_id=job_id, seconds=self.stop_within)
        return None

    def _wait_gone(self, job_id: str) -> None:
        deadline = time.monotonic() + self.gone_within
        while self.is_alive(job_id):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"job {job_id} did not end in {self.gone_within:g} s; restart the TaskManager "
                    "and deploy again"
                )
            time.sleep(_POLL_S)

    def _health(self, job_id: str) -> Health | None:
        try:
            return self.rest.health(job_id)
        except (FlinkRefused, FlinkUnavailable):
            return None  # just submitted, or the JobManager is busy: asked again


def _is_done(health: Health | None) -> bool:
    return health is not None and health.is_running and health.checkpoints > 0


def _is_terminal(health: Health | None) -> bool:
    return health is not None and health.state in TERMINAL


def _problem(health: Health | None, timeout: float) -> str:
    if health is None:
        return f"no answer about the job in {timeout:g} s"
    stuck = [f"{name}: {state}" for name, state in health.vertices if state != "RUNNING"]
    text = "; ".join(stuck) if stuck else f"no checkpoint completed in {timeout:g} s"
    return f"job {health.state}, {text}" + (f"; cause: {health.failure}" if health.failure else "")
