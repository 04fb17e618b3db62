"""Contract -> collection: the current row of every key, with what the envelope says of it."""

from __future__ import annotations

from collections.abc import Sequence

from api.catalog.model import Collection, Geometry, Property, Span
from emdata.contracts.base import Field, Record, fields_of
from emdata.derive.starrocks import raw_table
from emdata.errors import ContractError
from emdata.tabular.contracts import kind_of, places_of

ENVELOPE = (
    Property("record_key", "string", "The key, its fields joined by |", is_nullable=False),
    Property("record_version", "string", "The source's version, in a form that sorts"),
    Property(
        "accepted_at", "date-time", "When the platform accepted this version", is_nullable=False
    ),
    Property("writer", "integer", "Stream manager that accepted it", is_nullable=False),
    Property("seq", "integer", "Its number there; with writer its origin", is_nullable=False),
    Property("is_simulated", "boolean", "Made by the simulator", is_nullable=False),
)
_BBOX = ("bbox_west", "bbox_south", "bbox_east", "bbox_north")
_COUNTIES = ("county_fips", "fips")


def collection_of(record: type[Record]) -> Collection:
    """Return the collection of a contract's dataset.

    Raises ContractError when the declared owner of rows or a hidden field could not be kept.
    """
    dataset, fields = record.dataset, fields_of(record)
    _check(record, fields)
    names = {field.name for field in fields}
    return Collection(
        id=dataset.name,
        title=dataset.title,
        description=dataset.description or dataset.title,
        table=raw_table(record),
        key=dataset.key,
        properties=(*(_property(field) for field in fields), *ENVELOPE),
        domain=dataset.domain,
        terms=dataset.terms,
        geometry=_geometry(names),
        time=Span(dataset.event_time),
        state=dataset.region or ("state" if "state" in names else None),
        county=next((name for name in _COUNTIES if name in names), None),
        record=record,
        tenant=dataset.tenant,
        tenant_column=dataset.tenant_column,
    )


def _check(record: type[Record], fields: Sequence[Field]) -> None:
    """The key stands in every item, and names what versions of one row are."""
    dataset = record.dataset
    if dataset.tenant_column is not None and dataset.tenant_column not in dataset.key:
        raise ContractError(
            f"{dataset.name}: tenant_column", value=dataset.tenant_column, allowed=str(dataset.key)
        )
    shown = {*dataset.key, dataset.version, dataset.tenant_column}
    for field in fields:
        if field.is_sensitive and field.name in shown:
            raise ContractError(
                f"{dataset.name}.{field.name}",
                value="is_sensitive",
                allowed="fields outside of key and version",
            )


def _property(field: Field) -> Property:
    return Property(
        name=field.name,
        type=kind_of(field),
        description=field.doc,
        unit=field.unit,
        is_nullable=field.nullable,
        is_filterable=field.kind == "",
        is_sensitive=field.is_sensitive,
    )


def _geometry(names: set[str]) -> Geometry | None:
    places = places_of(names)
    if places is None:
        return None
    return Geometry(places.geojson, places.point, _BBOX if names.issuperset(_BBOX) else None)
