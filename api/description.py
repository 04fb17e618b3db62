"""The OpenAPI document as a caller gets it: a path for each collection that they see.

Formats, filters and orders depend on the collection, so that one path for all of them could not say
what a request may be. GDAL and QGIS read there what they can leave to the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI

from api.catalog.model import Collection
from api.formats.model import Format
from api.formats.negotiate import formats_of
from api.query.specialized import specialized

Document = dict[str, Any]
_GENERAL = "/collections/{collection_id}"
_KEPT = 16
_ROUTES = ("/items", "/items/{key}", "/items/{key}/versions", "/export", "/stream")
_OF_DATASETS = frozenset({"/items/{key}/versions", "/stream"})
_NAMES = {"/items": "items", "/items/{key}": "item", "/items/{key}/versions": "versions",
          "/export": "export", "/stream": "stream"}  # fmt: skip


class Descriptions:
    """Documents by what callers see; most callers see the same."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._made: dict[object, bytes] = {}

    def of(self, collections: Sequence[Collection]) -> bytes:
        """Return the document for who sees these collections, as JSON."""
        view = tuple((one.id, tuple(one.by_name)) for one in collections)
        made = self._made.get(view)
        if made is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            made = msgspec.json.encode(described(self._app.openapi(), collections))
            self._made[view] = made
        return made


def described(general: Document, collections: Sequence[Collection]) -> Document:
    """Return a document whose paths of any collection are paths of each of these."""
    components: dict[str, Document] = {"parameters": {}, "responses": {}}
    paths: Document = {}
    for path, operations in general["paths"].items():
        tail = path.removeprefix(_GENERAL)
        if tail == path:
            paths[path] = operations
        elif tail not in _ROUTES:
            paths[path] = _with_names(operations, collections)
        else:
            for one in collections:
                made = _operations(one, tail, operations, components)
                if made:
                    paths[f"/collections/{one.id}{tail}"] = made
    tags = [{"name": one.id, "description": one.title} for one in collections]
    return {
        **general,
        "tags": [*general.get("tags", ()), *tags],
        "paths": paths,
        "components": {**general.get("components", {}), **components},
    }


def _with_names(operations: Document, collections: Sequence[Collection]) -> Document:
    """Say which collections there are."""
    schema = {"type": "string", "enum": [one.id for one in collections]}
    return {
        method: {
            **operation,
            "parameters": [
                {**one, "schema": schema} if one["name"] == "collection_id" else one
                for one in operation["parameters"]
            ],
        }
        for method, operation in operations.items()
    }


def _operations(
    one: Collection, tail: str, operations: Document, components: dict[str, Document]
) -> Document:
    if tail in _OF_DATASETS and not one.is_dataset:
        return {}
    is_pushed = one.record is not None and one.record.dataset.submitted is not None
    return {
        method: _operation(one, tail, method, operation, components)
        for method, operation in operations.items()
        if method == "get" or is_pushed
    }


def _operation(
    one: Collection,
    tail: str,
    method: str,
    operation: Document,
    components: dict[str, Document],
) -> Document:
    formats = formats_of(one, is_item=tail == "/items/{key}", is_export=tail == "/export")
    parameters = specialized(one, operation.get("parameters", ()), formats)
    responses: Document = operation["responses"]
    if method == "get" and tail != "/stream":
        responses = _with_formats(responses, formats)
    route = _NAMES[tail] if method == "get" else "submit"
    return {
        **operation,
        "operationId": f"{one.id}_{route}",
        "summary": f"{operation['summary']}: {one.title}",
        "tags": [one.id],
        "parameters": [
            _shared("parameters", said["name"], one.id, said, components)
            if said["in"] == "query"
            else said
            for said in parameters
        ],
        "responses": {
            status: _shared("responses", f"problem-{status}", route, said, components)
            if status >= "400"
            else said
            for status, said in responses.items()
        },
    }


def _shared(
    kind: str, name: str, whose: str, said: Document, components: dict[str, Document]
) -> Document:
    """Return a reference to a part of the document, which stands there once for all routes."""
    for chosen in (name, f"{whose}.{name}"):
        if components[kind].setdefault(chosen, said) == said:
            return {"$ref": f"#/components/{kind}/{chosen}"}
    return said


def _with_formats(responses: Document, formats: Sequence[Format]) -> Document:
    kinds = {one.media_types[0] for one in formats}
    content = {kind: said for kind, said in responses["200"]["content"].items() if kind in kinds}
    return {**responses, "200": {**responses["200"], "content": content}}
