"""The code location: everything is derived from contracts and scrapers when Dagster asks."""

from __future__ import annotations

import dagster as dg

from emdata.telemetry import get_logger
from emergency_pipeline.catalog import Catalog, read_catalog
from emergency_pipeline.defs.bulk.assets import bulk_assets, bulk_job, bulk_schedule
from emergency_pipeline.defs.freshness.sensors import data_freshness_sensor, freshness_checks
from emergency_pipeline.defs.ingestion.jobs import backfill_job, data_ingestion_job, dbt_build_job
from emergency_pipeline.defs.ingestion.triggers import (
    data_ingestion_schedule,
    first_landing_sensor,
)
from emergency_pipeline.defs.landing.checks import contract_checks
from emergency_pipeline.defs.landing.sensors import landing_sensor
from emergency_pipeline.defs.lineage.specs import lineage_specs
from emergency_pipeline.defs.maintenance.retention import retention_job, retention_schedule
from emergency_pipeline.defs.models.assets import model_assets
from emergency_pipeline.defs.models.build import PREPARE
from emergency_pipeline.handing import MEMORY
from emergency_pipeline.resources import KafkaResource, ManagerResource, StarRocksResource
from emergency_pipeline.site import Site, load_site

log = get_logger(__name__)


def build_definitions(site: Site, catalog: Catalog) -> dg.Definitions:
    """Return all definitions of one platform; without a dbt manifest, all but the models."""
    models = model_assets(site)
    if not models:
        log.warning("dbt_manifest_missing", path=str(site.manifest), fix=PREPARE)
    return dg.Definitions(
        assets=[*lineage_specs(catalog, site), *models, *bulk_assets(catalog)],
        asset_checks=[freshness_checks(catalog), *contract_checks(catalog)],
        jobs=[data_ingestion_job, backfill_job, dbt_build_job, bulk_job, retention_job],
        schedules=[data_ingestion_schedule, bulk_schedule, retention_schedule],
        sensors=[first_landing_sensor, landing_sensor, data_freshness_sensor],
        resources={**_resources(site), "site": site, "catalog": catalog, MEMORY: dg.mem_io_manager},
        executor=dg.in_process_executor,
    )


def _resources(site: Site) -> dict[str, object]:
    settings = site.settings
    return {
        "kafka": KafkaResource(
            bootstrap_servers=settings.kafka_servers, manager_url=site.manager_url
        ),
        "manager": ManagerResource(url=site.manager_url),
        "starrocks": StarRocksResource(
            host=settings.starrocks_host,
            port=settings.starrocks_mysql_port,
            user=settings.starrocks_user,
        ),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """What the code server loads; raises SettingError before the first start of a platform."""
    return build_definitions(load_site(), read_catalog())
