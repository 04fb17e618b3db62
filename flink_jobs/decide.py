"""Plan, records and cluster -> what to do with each job. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from flink_jobs.plan import Job, Plan
from flink_jobs.records import Deployed, Records


class Action(StrEnum):
    """What a deployment does with one job."""

    KEEP = "keep"
    """Runs as planned: left alone."""
    START = "start"
    """Not running: started; landing goes on from committed offsets, windows from the earliest."""
    RESTORE = "restore"
    """Windows that do not run: started from the newest checkpoint or savepoint."""
    REPLACE = "replace"
    """Landing that runs otherwise than planned: stopped with a savepoint, started anew."""
    MOVE = "move"
    """Windows with the same hash but other addresses: stopped with a savepoint, restored."""
    REBUILD = "rebuild"
    """Windows with another hash: built into new tables beside the old, then swapped."""
    REMOVE = "remove"
    """No longer planned: stopped."""


@dataclass(frozen=True, slots=True)
class Step:
    """One job's action. ``job`` is the planned one, or the deployed one when it is removed."""

    name: str
    action: Action
    job: Job
    deployed: Deployed | None


def decide(plan: Plan, records: Records, alive: Iterable[str], *, only_missing: bool) -> list[Step]:
    """Return a step per planned or deployed job, in the plan's order, removals last.

    ``alive``: ids of the jobs that the cluster works on. ``only_missing`` leaves running jobs
    alone and brings back the others as they were: a watchdog repairs and never upgrades.
    """
    running = frozenset(alive)
    steps = [_step(job, records, running, only_missing=only_missing) for job in plan.jobs]
    planned = {job.name for job in plan.jobs}
    if not only_missing:
        steps += [
            Step(name, Action.REMOVE, deployed.job, deployed)
            for name, deployed in records.jobs.items()
            if name not in planned
        ]
    return steps


def _step(job: Job, records: Records, running: frozenset[str], *, only_missing: bool) -> Step:
    deployed = records.jobs.get(job.name)
    if deployed is None:
        return Step(job.name, Action.START, job, None)
    if deployed.job_id in running:
        return Step(job.name, _running(job, deployed, only_missing=only_missing), job, deployed)
    if only_missing:
        job = deployed.job
    if job.kind == "landing":
        return Step(job.name, Action.START, job, deployed)
    if job.hash == deployed.job.hash:
        return Step(job.name, Action.RESTORE, job, deployed)
    return Step(job.name, Action.REBUILD, job, deployed)


def _running(job: Job, deployed: Deployed, *, only_missing: bool) -> Action:
    if only_missing or job.fingerprint == deployed.job.fingerprint:
        return Action.KEEP
    if job.kind == "landing":
        return Action.REPLACE
    return Action.MOVE if job.hash == deployed.job.hash else Action.REBUILD
