"""Bulk files as assets, derived from the contracts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    DefaultScheduleStatus,
    MaterializeResult,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleEvaluationContext,
    SkipReason,
    asset,
    define_asset_job,
    in_process_executor,
    schedule,
)

from emdata.bulk.tables import is_public
from emdata.clock import SystemClock
from emdata.contracts import Record
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.ingestion.triggers import WAITING
from emergency_pipeline.keys import bulk_key, raw_key
from emergency_pipeline.site import Site

if TYPE_CHECKING:
    from emdata.bulk.build import Report
    from emdata.bulk.check import Difference

GROUP = "bulk"
ROWS_MATCH = "rows_match"
READ_SECONDS = 300.0


def bulk_assets(catalog: Catalog) -> list[AssetsDefinition]:
    """Return an asset for each dataset whose rows are everybody's."""
    return [_asset_of(record) for record in catalog.records.values() if is_public(record)]


bulk_job = define_asset_job(
    "bulk_job",
    selection=AssetSelection.groups(GROUP),
    executor_def=in_process_executor,
    description="Build the bulk files of days that have new rows.",
)


@schedule(
    job=bulk_job,
    name="bulk_schedule",
    cron_schedule="25 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every hour: build the bulk files of days that have new rows.",
)
def bulk_schedule(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """Request a run, but never a second one behind a run that still waits for its turn."""
    waiting = context.instance.get_runs_count(RunsFilter(job_name=bulk_job.name, statuses=WAITING))
    if waiting:
        return SkipReason(f"{waiting} run of {bulk_job.name} waits for its turn already")
    return RunRequest()


def _asset_of(record: type[Record]) -> AssetsDefinition:
    dataset = record.dataset
    key = bulk_key(dataset.name)

    @asset(
        key=key,
        deps=[raw_key(dataset.name)],
        group_name=GROUP,
        description=f"Daily files of {dataset.name}: GeoParquet and CSV.gz with a manifest.",
        kinds={"parquet"},
        tags={"source": dataset.source, "domain": dataset.domain},
        check_specs=[
            AssetCheckSpec(
                ROWS_MATCH,
                asset=key,
                description="The files of each settled day have the rows that StarRocks has.",
            )
        ],
    )
    def files(site: ResourceParam[Site]) -> Iterator[MaterializeResult[None]]:
        # Imported here: polars and pyarrow take seconds, which every start of Dagster would spend.
        from emdata.bulk.build import Builder
        from emdata.bulk.check import differences
        from emdata.bulk.shelf import Shelf

        shelf, warehouse = Shelf.of(site.paths), site.warehouse(timeout=READ_SECONDS)
        report = Builder(shelf, warehouse, site.state, SystemClock()).bring_up_to_date(record)
        found = differences(shelf, warehouse, record)
        yield MaterializeResult(
            asset_key=key, metadata=_metadata(report), check_results=[_check(key, report, found)]
        )

    return files


def _metadata(report: "Report") -> dict[str, int | str]:
    return {
        "dagster/row_count": report.rows,
        "days built": len(report.built),
        "days unchanged": report.kept,
        "built": ", ".join(day.isoformat() for day in report.built[-10:]),
    }


def _check(key: AssetKey, report: "Report", found: list["Difference"]) -> AssetCheckResult:
    shown = {
        one.day.isoformat(): f"{one.in_files} rows in files, {one.landed} landed"
        for one in found[:20]
    }
    return AssetCheckResult(
        asset_key=key,
        check_name=ROWS_MATCH,
        passed=not found and not report.shrunk,
        severity=AssetCheckSeverity.ERROR,
        metadata={"days that differ": len(found), **shown},
    )
