"""How dbt's nodes map to asset keys, groups and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetKey
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from emergency_pipeline.keys import model_key, raw_key
from emergency_pipeline.site import RAW_DATABASE


class Translator(DagsterDbtTranslator):
    """Sources in ``raw_data`` get the key of the landed table, so that the lineage is one."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_asset_checks=True, enable_source_tests_as_checks=True
            )
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        """Return ``raw_data/<table>`` for a landed table, else ``<database>/<model>``."""
        schema = str(dbt_resource_props["schema"])
        name = str(dbt_resource_props.get("identifier") or dbt_resource_props["name"])
        if dbt_resource_props["resource_type"] == "source" and schema == RAW_DATABASE:
            return raw_key(name)
        return model_key(schema, name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Group models by their folder, such as staging or weather, and seeds by themselves."""
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        folders = dbt_resource_props["fqn"][1:-1]
        return str(folders[0]) if folders else None
