"""GeoJSON (RFC 7946), JSON and NDJSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from api.catalog.model import Collection
from api.formats.model import Document, Format, Row, instant_text
from api.formats.values import LINES, Objects, dumps, geometry_maker
from emdata.contracts.identity import key_text

GEOJSON_TYPE = "application/geo+json"
JSON_TYPE = "application/json"


class FeatureEncoder:
    """A FeatureCollection, or of an item its Feature; the geometry is no property."""

    def __init__(self, document: Document) -> None:
        geometry = document.collection.geometry
        hidden = None if geometry is None else geometry.geojson
        self._document = document
        self._objects = Objects(document, [name for name in document.names if name != hidden])
        self._geometry = geometry_maker(document.collection, document.layout)
        self._id = id_maker(document.collection, document.layout)
        self._listing = _Listing(document, "features")

    def begin(self) -> bytes:
        """Return what stands before the features."""
        if self._document.is_item:
            return b""
        return self._listing.opening({"type": "FeatureCollection"})

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the features of the rows."""
        if self._document.is_item:
            return b"".join(
                dumps({**self._feature(row), **_around(self._document)}) for row in rows
            )
        return self._listing.items([dumps(self._feature(row)) for row in rows])

    def end(self) -> bytes:
        """Return the members that stand after the features."""
        return b"" if self._document.is_item else self._listing.closing()

    def _feature(self, row: Row) -> dict[str, Any]:
        return {
            "type": "Feature",
            "id": self._id(row),
            "geometry": self._geometry(row),
            "properties": self._objects.of(row),
        }


class JsonEncoder:
    """``{"items": [...], ...}``, flat objects; of an item its object."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._flat = _flat(document)
        self._listing = _Listing(document, "items")

    def begin(self) -> bytes:
        """Return what stands before the items."""
        return b"" if self._document.is_item else self._listing.opening({})

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the objects of the rows."""
        if self._document.is_item:
            return b"".join(dumps({**self._flat(row), **_around(self._document)}) for row in rows)
        return self._listing.items([dumps(self._flat(row)) for row in rows])

    def end(self) -> bytes:
        """Return the members that stand after the items."""
        return b"" if self._document.is_item else self._listing.closing()


class LineEncoder:
    """One object a line."""

    def __init__(self, document: Document) -> None:
        self._flat = _flat(document)

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return a line for each row."""
        return b"".join([dumps(self._flat(row), LINES) for row in rows])

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class _Listing:
    """An object with one long array; what is counted stands after it."""

    def __init__(self, document: Document, name: str) -> None:
        self._document, self._name, self._count = document, name, 0

    def opening(self, members: dict[str, Any]) -> bytes:
        document = self._document
        before = {
            **members,
            "timeStamp": instant_text(document.at),
            **document.origin.members(),
        }
        if document.number_matched is not None:
            before["numberMatched"] = document.number_matched
        return dumps(before)[:-1] + f',"{self._name}":['.encode()

    def items(self, items: Sequence[bytes]) -> bytes:
        if not items:
            return b""
        comma = b"," if self._count else b""
        self._count += len(items)
        return comma + b",".join(items)

    def closing(self) -> bytes:
        links = list(map(dict, self._document.links))
        return b"]," + dumps({"numberReturned": self._count, "links": links})[1:]


def id_maker(collection: Collection, layout: Sequence[str]) -> Callable[[Row], str]:
    """Return what makes a row's id: its key, joined as the contracts join it."""
    at = {name: index for index, name in enumerate(layout)}
    if collection.is_dataset and "record_key" in at:
        index = at["record_key"]
        return lambda row: str(row[index])
    picks = [at[name] for name in collection.key]

    def make(row: Row) -> str:
        return key_text([_aware(row[index]) for index in picks])

    return make


def _flat(document: Document) -> Callable[[Row], dict[str, Any]]:
    return Objects(document, document.names).of


def _around(document: Document) -> dict[str, Any]:
    """The members that an item has beside its own."""
    return {**document.origin.members(), "links": list(map(dict, document.links))}


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


FORMATS = (
    Format(
        name="geojson",
        title="GeoJSON",
        media_types=(GEOJSON_TYPE, "application/vnd.geo+json"),
        suffix="geojson",
        encoder=FeatureEncoder,
        broken=b'{"error":"the rest is missing: the answer ended by an error',
    ),
    Format(
        name="json",
        title="JSON, flat objects",
        media_types=(JSON_TYPE,),
        suffix="json",
        encoder=JsonEncoder,
        broken=b'{"error":"the rest is missing: the answer ended by an error',
    ),
    Format(
        name="ndjson",
        title="JSON, one object a line",
        media_types=("application/x-ndjson", "application/ndjson", "application/jsonl"),
        suffix="ndjson",
        encoder=LineEncoder,
        broken=b'{"error":"the rest is missing: the answer ended by an error',
        is_download=True,
    ),
)
