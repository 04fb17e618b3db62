"""Steps that build the models and check the contracts of the tables they were built from."""

from collections.abc import Iterator
from typing import Any

from dagster import Config, In, OpExecutionContext, Output, ResourceParam, op
from dagster_dbt.dbt_manifest import read_manifest_path
from pydantic import Field

from emergency_pipeline import ledger
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.landing.checks import contract_evaluations
from emergency_pipeline.defs.models.build import require_manifest, run_dbt, selection_for
from emergency_pipeline.defs.models.progress import read_built, write_built
from emergency_pipeline.defs.models.selection import known_tables
from emergency_pipeline.handing import handed
from emergency_pipeline.site import Site


class BuildConfig(Config):
    """Which models to build."""

    everything: bool = Field(default=False, description="all models, with or without new rows")


@op(ins={"rows": In(dict)}, out=handed(list, "datasets whose models were built"))
def build_models(
    context: OpExecutionContext,
    config: BuildConfig,
    site: ResourceParam[Site],
    catalog: ResourceParam[Catalog],
    rows: dict[str, int],
) -> Iterator[Any]:
    """Build the models downstream of tables that have new rows; without any, say so and skip."""
    if config.everything:
        datasets, selection = sorted(rows), []
    else:
        datasets = ledger.with_new_rows(rows, read_built(context.instance))
        manifest = read_manifest_path(require_manifest(site))
        tables = known_tables(manifest, catalog.tables_fed_by(datasets))
        if not tables:
            context.log.info("no table of a model has new rows since it was last built: skipped")
            yield Output([], metadata={"built": "nothing: no new rows"})
            return
        selection = selection_for(site, tables)
    context.log.info("building the models of %s", ", ".join(datasets) or "all tables")
    yield from run_dbt(context, site, ["build", *selection])
    write_built(context.instance, {name: rows[name] for name in datasets})
    yield Output(datasets, metadata={"built": ", ".join(datasets) or "everything"})


@op(ins={"built": In(list)}, out=handed(list, "the same datasets, checked"))
def check_contracts(
    site: ResourceParam[Site],
    catalog: ResourceParam[Catalog],
    built: list[str],
) -> Iterator[Any]:
    """Check keys and required fields of the tables that changed, against StarRocks."""
    records = [catalog.records[name] for name in built if name in catalog.records]
    yield from contract_evaluations(
        records, site.warehouse(), models=site.settings.starrocks_database
    )
    yield Output(built)


@op(out=handed(dict, "landed rows per dataset"))
def count_landed(site: ResourceParam[Site]) -> dict[str, int]:
    """Read how many rows each table has, for the mark of progress."""
    return ledger.rows_landed(ledger.read_positions(site.state))
