"""What starts the ingestion job: the clock, and the first rows of each stream."""

from dagster import (
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    schedule,
    sensor,
)

from emdata.errors import StateUnavailable
from emergency_pipeline import ledger
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.ingestion.first_landing import newly_landed
from emergency_pipeline.defs.ingestion.jobs import data_ingestion_job
from emergency_pipeline.site import Site

WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED]


@schedule(
    job=data_ingestion_job,
    name="data_ingestion_schedule",
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every 15 minutes: poll what is due, then build the models that have new rows.",
)
def data_ingestion_schedule(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """Request a run, but never a second one behind a run that still waits for its turn."""
    waiting = context.instance.get_runs_count(
        RunsFilter(job_name=data_ingestion_job.name, statuses=WAITING)
    )
    if waiting:
        return SkipReason(f"{waiting} run of {data_ingestion_job.name} waits for its turn already")
    return RunRequest()


@sensor(
    job=data_ingestion_job,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts the ingestion job as soon as a stream has landed for the first time.",
)
def first_landing_sensor(
    context: SensorEvaluationContext, site: ResourceParam[Site], catalog: ResourceParam[Catalog]
) -> SensorResult | SkipReason:
    """Request one run for the streams that landed since the last tick, once per data directory."""
    try:
        landed = ledger.rows_landed(ledger.read_positions(site.state))
    except StateUnavailable as error:
        return SkipReason(f"PostgreSQL is away: {error}")
    having = [dataset for dataset, rows in landed.items() if rows]
    new, cursor = newly_landed(catalog.streams, having, context.cursor)
    if not new:
        return SkipReason("no stream has landed for the first time")
    names = ",".join(new)
    request = RunRequest(run_key=f"first-landing:{names}", tags={"first_landing": names})
    return SensorResult(run_requests=[request], cursor=cursor)
