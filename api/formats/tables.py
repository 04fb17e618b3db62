"""CSV, Parquet (GeoParquet where rows have a place) and Arrow streams."""

from __future__ import annotations

from collections.abc import Sequence

from api.catalog.model import Collection
from api.formats.model import Document, Format, instant_text
from emdata.tabular.csv import CsvEncoder
from emdata.tabular.model import Column, Places, Table, TableEncoder
from emdata.tabular.parquet import ParquetEncoder
from emdata.tabular.stream import ArrowEncoder


def table_of(document: Document, *, is_placed: bool) -> Table:
    """Return the table of a document; ``is_placed`` says that geometry becomes WKB."""
    collection = document.collection
    known = collection.by_name
    columns = tuple(
        Column(one.name, one.type, one.description, one.unit, one.is_nullable)
        for one in (known[name] for name in document.names)
    )
    places = _places(collection, document.layout) if is_placed else None
    return Table(columns, document.layout, places, _about(document))


def _places(collection: Collection, layout: Sequence[str]) -> Places | None:
    geometry, there = collection.geometry, set(layout)
    if geometry is None:
        return None
    shape = geometry.geojson if geometry.geojson in there else None
    point = geometry.point if geometry.point and there.issuperset(geometry.point) else None
    return Places(shape, point) if shape or point else None


def _about(document: Document) -> dict[str, str]:
    """What a file says of itself: a header is lost when the answer is saved."""
    collection, origin = document.collection, document.origin
    about = {
        "title": collection.title,
        "description": collection.description,
        "terms": collection.terms,
        "collection": collection.id,
        "made_at": instant_text(document.at),
        "is_simulated": "true" if origin.is_simulated else "false",
        "data_version": origin.data_version or "",
        "source": document.url,
    }
    if origin.newest_accepted_at is not None:
        about["newest_accepted_at"] = instant_text(origin.newest_accepted_at)
    return {f"emdata:{name}": value for name, value in about.items()}


def _csv(document: Document) -> TableEncoder:
    return CsvEncoder(table_of(document, is_placed=False))


def _parquet(document: Document) -> TableEncoder:
    return ParquetEncoder(table_of(document, is_placed=True))


def _arrow(document: Document) -> TableEncoder:
    return ArrowEncoder(table_of(document, is_placed=True))


def _has_place(collection: Collection) -> bool:
    return collection.geometry is not None


_PARQUET_TYPES = ("application/vnd.apache.parquet", "application/x-parquet")
FORMATS = (
    Format(
        name="csv",
        title="CSV",
        media_types=("text/csv",),
        suffix="csv",
        encoder=_csv,
        # A quote that never closes: no reader ends a file in it.
        broken=b'"the rest is missing: the answer ended by an error',
        is_download=True,
    ),
    Format(
        name="parquet",
        title="Parquet; GeoParquet 1.1 where items have a geometry",
        media_types=_PARQUET_TYPES,
        suffix="parquet",
        encoder=_parquet,
        broken=b"",  # without its footer it is no Parquet file
        is_download=True,
    ),
    Format(
        name="geoparquet",
        title="GeoParquet 1.1",
        media_types=_PARQUET_TYPES,
        suffix="parquet",
        encoder=_parquet,
        broken=b"",
        is_for=_has_place,
        is_download=True,
    ),
    Format(
        name="arrow",
        title="Arrow IPC stream",
        media_types=("application/vnd.apache.arrow.stream",),
        suffix="arrows",
        encoder=_arrow,
        # The head of a message of 1 GiB that never comes.
        broken=b"\xff\xff\xff\xff\x00\x00\x00\x40",
        is_download=True,
    ),
)
