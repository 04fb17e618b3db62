"""Old runs and events are deleted, so that Dagster's storage does not grow for ever."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
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
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
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


def delete_old_events(instance: DagsterInstance, before: datetime) -> int:
    """Delete what sensors reported before an aware instant, but for the newest of its kind.

    Dagster has no call for this: events that belong to no run outlive every run.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    limit = before.astimezone(UTC).replace(tzinfo=None)
    newest_events = (
        sa.select(sa.func.max(events.id))
        .where(events.run_id == RUNLESS_RUN_ID)
        .group_by(events.asset_key, events.dagster_event_type)
    )
    newest_checks = sa.select(sa.func.max(checks.id)).group_by(checks.asset_key, checks.check_name)
    with storage.index_connection() as connection:
        deleted = connection.execute(
            SqlEventLogStorageTable.delete().where(
                events.run_id == RUNLESS_RUN_ID,
                events.timestamp < limit,
                events.id.not_in(newest_events),
            )
        ).rowcount
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                checks.run_id == RUNLESS_RUN_ID,
                checks.create_timestamp < limit,
                checks.id.not_in(newest_checks),
            )
        )
    return int(deleted)


@op
def delete_old(
    context: OpExecutionContext, config: RetentionConfig, site: ResourceParam[Site]
) -> None:
    """Delete what is older than the configured days."""
    before = datetime.now(UTC) - timedelta(days=config.days)
    logs = site.paths.dagster / "storage"
    runs = delete_old_runs(context.instance, before, logs)
    events = delete_old_events(context.instance, before)
    context.log.info("deleted %d runs and %d events from before %s", runs, events, before.date())


@job(executor_def=in_process_executor)
def retention_job() -> None:
    """Delete old runs with their logs, and old reports of sensors."""
    delete_old()


retention_schedule = ScheduleDefinition(
    job=retention_job,
    name="retention_schedule",
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every night: delete runs that are older than the retention.",
)
