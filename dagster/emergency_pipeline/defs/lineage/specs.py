"""Asset specs of everything before the models, derived from the catalog.

A source feeds one insert of a Flink job per dataset, and the insert feeds the landed table. Each
insert is an asset of its own (a chained task of the job, too), so that the lineage of one table
does not run through all other tables that the same job writes.

Assets are grouped by stage, so that the overview reads from left to right.
"""

from __future__ import annotations

from collections.abc import Iterator

from dagster import AssetSpec, MetadataValue

from emdata.contracts import Record
from emergency_pipeline.catalog import Catalog, Stream, Window, landing_job
from emergency_pipeline.keys import flink_key, raw_key, source_key
from emergency_pipeline.site import RAW_DATABASE, Site

SOURCES, FLINK, LANDED = "sources", "flink", "landed"


def lineage_specs(catalog: Catalog, site: Site) -> list[AssetSpec]:
    """Return the specs of sources, Flink inserts, landed tables and windows."""
    specs = [_source(stream, catalog, site) for stream in catalog.streams]
    for record in catalog.records.values():
        specs.extend(_landed(record, catalog, site))
    for window in catalog.windows:
        specs.extend(_window(window, catalog, site))
    return specs


def _source(stream: Stream, catalog: Catalog, site: Site) -> AssetSpec:
    records = [catalog.records[name] for name in stream.datasets]
    return AssetSpec(
        key=source_key(stream),
        deps=[raw_key(name) for name in stream.made_from],
        group_name=f"simulated_{SOURCES}" if site.is_simulated else SOURCES,
        description=stream.description,
        kinds={"simulator"} if site.is_simulated and stream.is_polled else {"api"},
        tags={"source": stream.source, "domain": records[0].dataset.domain, **_simulated(site)},
        metadata={
            "polled every": stream.every,
            "hosts": MetadataValue.text(", ".join(stream.hosts)),
            "terms": MetadataValue.text("; ".join(sorted({r.dataset.terms for r in records}))),
            "fresh within": MetadataValue.json(
                {record.dataset.name: record.dataset.fresh_within for record in records}
            ),
        },
    )


def _landed(record: type[Record], catalog: Catalog, site: Site) -> Iterator[AssetSpec]:
    dataset = record.dataset
    job = landing_job(record)
    yield AssetSpec(
        key=flink_key(job, dataset.name),
        deps=[source_key(stream) for stream in catalog.streams_of(dataset.name)],
        group_name=FLINK,
        description=f"Flink job {job}: topic {dataset.topic} into {RAW_DATABASE}.{dataset.name}.",
        kinds={"flink", "kafka"},
        tags={"source": dataset.source, "domain": dataset.domain, "flink_job": job},
        metadata={
            "topic": dataset.topic,
            "job": job,
            "dashboard": MetadataValue.url(site.flink_url),
        },
    )
    yield AssetSpec(
        key=raw_key(dataset.name),
        deps=[flink_key(job, dataset.name)],
        group_name=LANDED,
        description=dataset.description or dataset.title,
        kinds={"starrocks", "table"},
        tags={"source": dataset.source, "domain": dataset.domain, **_simulated(site)},
        metadata={
            "dagster/table_name": f"{RAW_DATABASE}.{dataset.name}",
            "key": ", ".join(dataset.key),
            "version": dataset.version or "order of arrival",
            "event time": dataset.event_time,
            "fresh within": dataset.fresh_within,
            "terms": dataset.terms,
        },
    )


def _window(window: Window, catalog: Catalog, site: Site) -> Iterator[AssetSpec]:
    inputs = [catalog.records[name].dataset for name in window.datasets]
    domain = inputs[0].domain
    yield AssetSpec(
        key=flink_key(window.job, window.name),
        deps=[source_key(s) for name in window.datasets for s in catalog.streams_of(name)],
        group_name=FLINK,
        description=f"Flink job {window.job}: {window.description}",
        kinds={"flink", "kafka"},
        tags={"domain": domain, "flink_job": window.job},
        metadata={
            "topics": ", ".join(dataset.topic for dataset in inputs),
            "job": window.job,
            "dashboard": MetadataValue.url(site.flink_url),
        },
    )
    yield AssetSpec(
        key=raw_key(window.name),
        deps=[flink_key(window.job, window.name)],
        group_name=LANDED,
        description=window.description,
        kinds={"starrocks", "table"},
        tags={"domain": domain, **_simulated(site)},
        metadata={"dagster/table_name": f"{RAW_DATABASE}.{window.name}"},
    )


def _simulated(site: Site) -> dict[str, str]:
    return {"simulated": "true"} if site.is_simulated else {}
