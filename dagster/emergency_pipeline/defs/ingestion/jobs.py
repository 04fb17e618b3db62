"""Jobs that bring data in and build the models."""

from __future__ import annotations

from dagster import in_process_executor, job

from emergency_pipeline.defs.ingestion import ops
from emergency_pipeline.defs.models import ops as models


@job(executor_def=in_process_executor)
def data_ingestion_job() -> None:
    """Poll what is due, wait until it landed, build the models that have new rows."""
    polls, silent = ops.poll_what_is_due()
    built = models.check_contracts(models.build_models(ops.wait_for_landing(polls)))
    ops.require_answers(silent, built)


@job(executor_def=in_process_executor)
def backfill_job() -> None:
    """Fetch a stretch of time again, wait until it landed, build the models."""
    polls, silent = ops.ask_for_backfill()
    built = models.check_contracts(models.build_models(ops.wait_for_landing(polls)))
    ops.require_answers(silent, built)


@job(
    executor_def=in_process_executor,
    config={"ops": {"build_models": {"config": {"everything": True}}}},
)
def dbt_build_job() -> None:
    """Build all models and run all their tests."""
    models.check_contracts(models.build_models(models.count_landed()))
