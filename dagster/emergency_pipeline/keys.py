"""Asset keys: one scheme for sources, Flink's inserts, landed tables and models."""

from __future__ import annotations

from dagster import AssetKey

from emergency_pipeline.catalog import Stream
from emergency_pipeline.site import RAW_DATABASE

FRESHNESS_CHECK = "freshness"


def source_key(stream: Stream) -> AssetKey:
    """``source/<source>/<stream>``: the upstream API as it is polled."""
    return AssetKey(["source", stream.source, stream.name])


def flink_key(job: str, table: str) -> AssetKey:
    """``flink/<job>/<table>``: the part of a Flink job that writes one table."""
    return AssetKey(["flink", job, table])


def raw_key(table: str) -> AssetKey:
    """``raw_data/<table>``: a landed table or a window."""
    return AssetKey([RAW_DATABASE, table])


def model_key(database: str, model: str) -> AssetKey:
    """``<database>/<model>``: a dbt model."""
    return AssetKey([database, model])


def bulk_key(dataset: str) -> AssetKey:
    """``bulk/<dataset>``: the daily files of a dataset."""
    return AssetKey(["bulk", dataset])
