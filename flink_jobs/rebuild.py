"""Rebuilds changed windows beside the old ones and swaps the views when they have caught up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from emdata.settings import Settings
from emdata.telemetry import get_logger
from flink_jobs.cluster import Cluster
from flink_jobs.offsets import Offsets, remaining
from flink_jobs.plan import Job
from flink_jobs.records import Deployed, Records
from flink_jobs.tables import WindowTables

log = get_logger(__name__)
_POLL_S = 0.5


@dataclass(frozen=True)
class Rebuild:
    """Rebuilds one windows job at a time, so that one spare slot is enough."""

    cluster: Cluster
    tables: WindowTables
    offsets: Offsets
    records: Records
    save: Callable[[], None]
    settings: Settings
    healthy_within: float
    rebuilt_within: float

    def run(self, job: Job, old: Deployed | None) -> str:
        """Rebuild and swap; returns what went wrong, or an empty text.

        The old job and its tables stay in use until the swap. A rebuild that is not through in
        time goes on; the next deployment waits for it again.
        """
        candidate = self._candidate(job)
        problems = self.cluster.wait_healthy({job.name: candidate}, self.healthy_within)
        if problems:
            self._drop(candidate)
            return f"rebuild failed, the old windows go on: {problems[job.name]}"
        left = self._catch_up(job)
        if left:
            return (
                f"rebuilding: {left} records left after {self.rebuilt_within:g} s; the old windows "
                "go on, deploy again to wait for the swap"
            )
        self._swap(candidate, old)
        return ""

    def _candidate(self, job: Job) -> Deployed:
        """The running candidate for this job, or a new one; another one is given up."""
        candidate = self.records.candidates.get(job.name)
        if candidate is not None:
            is_same = candidate.job.fingerprint == job.fingerprint
            if is_same and self.cluster.is_alive(candidate.job_id):
                return candidate
            self._drop(candidate, keep=job)
        self.tables.create(job, empty=True)
        candidate = self.cluster.submit(job, None)
        self.records.candidates[job.name] = candidate
        self.save()
        return candidate

    def _catch_up(self, job: Job) -> int:
        """Wait for the ends that the topics had at the start; returns how much is missing.

        Flink commits offsets with a checkpoint, and a checkpoint flushes the sinks first: what is
        committed is in the tables.
        """
        target = self.offsets.ends(job.groups)
        deadline = time.monotonic() + self.rebuilt_within
        while True:
            reached: dict[tuple[str, int], int] = {}
            for topic, group in job.groups.items():
                reached |= self.offsets.committed(group, [topic])
            left = remaining(target, reached)
            if left == 0 or time.monotonic() > deadline:
                return left
            time.sleep(_POLL_S)

    def _swap(self, candidate: Deployed, old: Deployed | None) -> None:
        job = candidate.job
        if old is not None:
            days = self.settings.kafka_window_retention_days
            self.tables.keep_older_rows(job, old.job, self.cluster.clock.now(), days)
        self.tables.show(job)
        self.records.jobs[job.name] = candidate
        self.records.candidates.pop(job.name, None)
        self.save()
        log.info("windows_swapped", job=job.name, hash=job.hash)
        if old is not None:
            if self.cluster.is_alive(old.job_id):
                self.cluster.cancel(old.job_id)
            self.tables.drop(old.job, but=job)
            self.offsets.forget(old.job.groups.values())

    def _drop(self, candidate: Deployed, keep: Job | None = None) -> None:
        if self.cluster.is_alive(candidate.job_id):
            self.cluster.cancel(candidate.job_id)
        self.tables.drop(candidate.job, but=keep)
        self.records.candidates.pop(candidate.job.name, None)
        self.save()
