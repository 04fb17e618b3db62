"""Bulk files as assets: derived from contracts, and only for what is everybody's."""

from __future__ import annotations

from dataclasses import replace

from dagster import AssetKey, DefaultScheduleStatus, Definitions

from emdata.contracts import Dataset, Record
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.bulk.assets import (
    ROWS_MATCH,
    bulk_assets,
    bulk_job,
    bulk_schedule,
)
from emergency_pipeline.keys import bulk_key, raw_key


class Secret(Record, frozen=True, kw_only=True):
    """A row of one tenant."""

    owner: str

    dataset = Dataset(
        name="river_secrets",
        source="river",
        domain="water",
        title="Secrets",
        key=("owner",),
        event_time="owner",
        fresh_within="1d",
        terms="the tenant's",
        tenant_column="owner",
    )


def test_every_public_dataset_has_files_made_of_its_table(catalog: Catalog) -> None:
    assets = bulk_assets(catalog)
    assert {asset.key for asset in assets} == {bulk_key(name) for name in catalog.records}
    for asset in assets:
        assert asset.asset_deps[asset.key] == {raw_key(asset.key.path[-1])}
        assert [spec.name for spec in asset.check_specs] == [ROWS_MATCH]


def test_what_belongs_to_tenants_never_becomes_a_file(catalog: Catalog) -> None:
    records = {**catalog.records, "river_secrets": Secret}
    keys = {asset.key for asset in bulk_assets(replace(catalog, records=records))}
    assert bulk_key("river_gauges") in keys
    assert bulk_key("river_secrets") not in keys


def test_files_are_built_every_hour_by_one_job(catalog: Catalog) -> None:
    assert bulk_schedule.cron_schedule == "25 * * * *"
    assert bulk_schedule.default_status is DefaultScheduleStatus.RUNNING
    definitions = Definitions(bulk_assets(catalog), jobs=[bulk_job], resources={"site": "a site"})
    chosen = definitions.resolve_job_def(bulk_job.name).asset_layer.executable_asset_keys
    assert AssetKey(["bulk", "sky_warnings"]) in set(chosen)
