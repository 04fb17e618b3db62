"""The models as assets, read from the manifest that the deploy prepared."""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, ResourceParam
from dagster_dbt import dbt_assets

from emergency_pipeline.defs.models.build import dbt_client, dbt_target
from emergency_pipeline.defs.models.translator import Translator
from emergency_pipeline.site import Site


def model_assets(site: Site) -> list[AssetsDefinition]:
    """Return the models; empty without a manifest, which the build then reports.

    Landed tables stay visible and polling goes on while the models are not there yet.
    """
    if not site.manifest.exists():
        return []

    @dbt_assets(manifest=site.manifest, dagster_dbt_translator=Translator(), name="models")
    def models(context: AssetExecutionContext, site: ResourceParam[Site]) -> Iterator[Any]:
        dbt = dbt_client(site)
        yield from dbt.cli(["build"], context=context, target_path=dbt_target(site)).stream()

    return [models]
