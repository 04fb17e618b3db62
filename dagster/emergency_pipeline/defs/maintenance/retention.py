"""Old runs and events are deleted, so that Dagster's storage does not grow for ever."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dagster import (
    Config,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    OpExecutionContext,
    ResourceParam,
    RunsFilter,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from emergency_pipeline.site import Site

FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
BATCH = 200


class RetentionConfig(Config):
    """How long runs and events are kept."""

    days: int = Field(default=14, ge=1, description="days that runs and their logs are kept")


def delete_old_runs(instance: DagsterInstance, before: datetime, logs: Path) -> int:
    """Delete finished runs created before an aware instant, with their logs; return how many."""
    deleted = 0
    while True:
        filters = RunsFilter(statuses=FINISHED, created_before=before)
        records = instance.get_run_records(filters, limit=BATCH, ascending=True)
        for record in records:
            run_id = record.dagster_run.run_id
            instance.delete_run(run_id)
            shutil.rmtree(logs / run_id, ignore_errors=True)
        deleted += len(records)
        if len(records) < BATCH:
            return deleted


@op
def delete_old(
    context: OpExecutionContext, config: RetentionConfig, site: ResourceParam[Site]
) -> None:
    """Delete what is older than the configured days."""
    before = datetime.now(UTC) - timedelta(days=config.days)
    logs = site.paths.dagster / "storage"
    runs = delete_old_runs(context.instance, before, logs)
    context.log.info("deleted %d runs from before %s", runs, before.date())


@job(executor_def=in_process_executor)
def retention_job() -> None:
    """Delete old runs and their logs."""
    delete_old()


retention_schedule = ScheduleDefinition(
    job=retention_job,
    name="retention_schedule",
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every night: delete runs that are older than the retention.",
)
