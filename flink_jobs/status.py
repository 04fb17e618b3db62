"""How the deployed jobs are doing, for people, `emdata status` and the orchestrator."""

from __future__ import annotations

import msgspec

from emdata.clock import Clock
from emdata.paths import Paths
from emdata.settings import Settings
from flink_jobs.errors import FlinkRefused
from flink_jobs.records import Deployed, read_records
from flink_jobs.rest import FlinkRest, Health


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed job.

    state: RUNNING only when every vertex runs; otherwise the states that differ; MISSING when the
    cluster does not know the job. checkpoint_age_s: seconds since the last completed checkpoint,
    None without any. failure: the last root cause, empty without any. rebuilding: it is the
    candidate of a swap.
    """

    name: str
    kind: str
    job_id: str
    state: str
    is_running: bool
    tables: tuple[str, ...]
    checkpoint_age_s: float | None
    failure: str
    rebuilding: bool = False


def job_views(settings: Settings, paths: Paths, clock: Clock) -> list[JobView]:
    """Return every recorded job as the cluster sees it now.

    Raises FlinkUnavailable when the JobManager does not answer.
    """
    records = read_records(paths.flink_jobs_file)
    now_ms = clock.now().timestamp() * 1000
    with FlinkRest(settings.flink_host, settings.flink_rest_port) as rest:
        known = {job.job_id for job in rest.jobs()}
        return [
            _view(rest, deployed, known, now_ms, rebuilding=rebuilding)
            for group, rebuilding in ((records.jobs, False), (records.candidates, True))
            for deployed in group.values()
        ]


def _view(
    rest: FlinkRest, deployed: Deployed, known: set[str], now_ms: float, *, rebuilding: bool
) -> JobView:
    health: Health | None = None
    if deployed.job_id in known:
        try:
            health = rest.health(deployed.job_id)
        except FlinkRefused:
            health = None  # forgotten between the two questions
    age = None
    if health is not None and health.checkpoint_at is not None:
        age = round(max(0.0, now_ms - health.checkpoint_at) / 1000, 1)
    return JobView(
        name=deployed.job.name,
        kind=deployed.job.kind,
        job_id=deployed.job_id,
        state=_state(health),
        is_running=health is not None and health.is_running,
        tables=deployed.job.tables,
        checkpoint_age_s=age,
        failure=health.failure if health is not None else "",
        rebuilding=rebuilding,
    )


def _state(health: Health | None) -> str:
    if health is None:
        return "MISSING"
    if health.is_running:
        return "RUNNING"
    others = sorted({state for _, state in health.vertices if state != "RUNNING"})
    return f"{health.state} ({', '.join(others)})" if others else health.state
