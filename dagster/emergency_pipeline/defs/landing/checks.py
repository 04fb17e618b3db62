"""What a contract promises about its tables, asked of StarRocks."""

from collections.abc import Iterable, Iterator

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    ResourceParam,
    multi_asset_check,
)

from emdata.contracts import Record, fields_of
from emdata.warehouse import Warehouse
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.keys import raw_key
from emergency_pipeline.site import RAW_DATABASE, Site

REQUIRED = "required_fields_present"
ONE_CURRENT = "one_current_row_per_key"


def required_sql(record: type[Record]) -> str:
    """Return SQL that counts rows which lack a field that the contract requires."""
    required = ["record_key", *(f.name for f in fields_of(record) if not f.nullable)]
    missing = " OR ".join(f"`{name}` IS NULL" for name in required)
    return (
        f"SELECT COUNT(*) AS bad FROM {RAW_DATABASE}.{record.dataset.name} "
        f"WHERE {missing} OR `record_key` = ''"
    )


def current_sql(record: type[Record], models: str) -> str:
    """Return SQL that compares landed keys with the current rows that staging shows.

    ``models`` is the database of the models. Rows may land between the two counts, so staging is
    held against the keys of the same statement.
    """
    raw, staging = record.dataset.name, record.dataset.staging
    return (
        f"SELECT r.key_count, s.row_count, s.key_count AS staged_keys FROM "
        f"(SELECT COUNT(DISTINCT `record_key`) AS key_count FROM {RAW_DATABASE}.{raw}) r "
        f"CROSS JOIN (SELECT COUNT(*) AS row_count, COUNT(DISTINCT `record_key`) AS key_count "
        f"FROM {models}.{staging}) s"
    )


def contract_results(
    record: type[Record], warehouse: Warehouse, *, models: str
) -> Iterator[AssetCheckResult]:
    """Check one table; raises WarehouseUnavailable and WarehouseError."""
    key = raw_key(record.dataset.name)
    bad = int(warehouse.query(required_sql(record))[0]["bad"])
    yield AssetCheckResult(
        asset_key=key,
        check_name=REQUIRED,
        passed=bad == 0,
        severity=AssetCheckSeverity.ERROR,
        metadata={"rows that lack a required field": bad},
    )
    counts = warehouse.query(current_sql(record, models))[0]
    keys, rows, staged = (int(counts[c]) for c in ("key_count", "row_count", "staged_keys"))
    yield AssetCheckResult(
        asset_key=key,
        check_name=ONE_CURRENT,
        passed=rows == staged == keys,
        severity=AssetCheckSeverity.ERROR,
        metadata={"keys landed": keys, "current rows": rows, "keys of current rows": staged},
    )


def contract_evaluations(
    records: Iterable[type[Record]], warehouse: Warehouse, *, models: str
) -> Iterator[AssetCheckEvaluation]:
    """Check tables from within a job that is not made of assets."""
    for record in records:
        for result in contract_results(record, warehouse, models=models):
            yield AssetCheckEvaluation(
                asset_key=raw_key(record.dataset.name),
                check_name=str(result.check_name),
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
            )


def contract_checks(catalog: Catalog) -> list[AssetChecksDefinition]:
    """Return the checks of every contract, for the UI's list and its Execute button."""
    return [_checks_of(record) for record in catalog.records.values()]


def _checks_of(record: type[Record]) -> AssetChecksDefinition:
    dataset = record.dataset
    key = ", ".join(dataset.key)

    @multi_asset_check(
        name=f"contract_of_{dataset.name}",
        specs=[
            AssetCheckSpec(
                REQUIRED,
                asset=raw_key(dataset.name),
                description="Every required field has a value.",
            ),
            AssetCheckSpec(
                ONE_CURRENT,
                asset=raw_key(dataset.name),
                description=f"{dataset.staging} shows exactly one row for each key ({key}).",
            ),
        ],
        can_subset=False,
    )
    def checks(site: ResourceParam[Site]) -> Iterator[AssetCheckResult]:
        yield from contract_results(
            record, site.warehouse(), models=site.settings.starrocks_database
        )

    return checks
