"""What the description says of each collection is what its routes take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from api.catalog.catalog import Catalog
from api.catalog.model import Collection
from api.description import Descriptions, described
from api.formats.negotiate import formats_of
from api.query.parameters import asked_of, property_parameters
from emdata.settings import REPOSITORY
from tests.api.access.test_document import application

# No server, but the document of all routes takes a second.
pytestmark = pytest.mark.integration
APP = application()
COLLECTIONS = list(Catalog.of(REPOSITORY / "dbt_project" / "models", "emergency_data"))
PUBLIC = [one for one in COLLECTIONS if one.tenant is None]
_VALUES = {"string": "a", "integer": "1", "number": "1.5", "boolean": "true"}
_FORMATS = {"date": "2026-08-01", "date-time": "2026-08-01T12:00:00Z"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(Descriptions(APP).of(PUBLIC))
    return made


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for one in part.values():
            yield from references(one)
    elif isinstance(part, list):
        for one in part:
            yield from references(one)


def parameters(document: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    known = document["components"]["parameters"]
    given = document["paths"][path]["get"]["parameters"]
    found = [known[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in given]
    return {one["name"]: one for one in found}


def test_each_collection_has_paths_of_its_own_and_everything_is_there(
    document: dict[str, Any],
) -> None:
    for one in PUBLIC:
        for tail in ("/items", "/items/{key}", "/export"):
            assert f"/collections/{one.id}{tail}" in document["paths"]
        assert (f"/collections/{one.id}/stream" in document["paths"]) is one.is_dataset
        assert ("post" in document["paths"][f"/collections/{one.id}/items"]) is (
            one.record is not None and one.record.dataset.submitted is not None
        )
    assert not any("{collection_id}/items" in path for path in document["paths"])
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids))
    for reference in set(references(document)):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in document["components"][kind]


@pytest.mark.parametrize("one", PUBLIC, ids=lambda one: one.id)
def test_what_is_described_is_taken_and_what_is_taken_is_described(
    document: dict[str, Any], one: Collection
) -> None:
    found = parameters(document, f"/collections/{one.id}/items")
    assert set(property_parameters(one)) <= found.keys()
    given = [(name, example(said)) for name, said in found.items() if name not in ("cursor", "f")]
    assert asked_of(one, given).query.limit
    assert found["f"]["schema"]["enum"] == [each.name for each in formats_of(one)]
    exports = parameters(document, f"/collections/{one.id}/export")
    assert exports["f"]["schema"]["enum"] == [each.name for each in formats_of(one, is_export=True)]
    assert exports.keys() == found.keys() - {"cursor", "count", "limit"}


def example(said: dict[str, Any]) -> str:
    """A value as the description has it."""
    if "example" in said:
        shown = said["example"]
        return ",".join(map(str, shown)) if isinstance(shown, list) else str(shown)
    schema = said["schema"]
    if "enum" in schema:
        return str(schema["enum"][0])
    return _FORMATS.get(schema.get("format", ""), _VALUES[schema["type"]])


def test_a_collection_of_a_tenant_is_described_to_its_members_alone() -> None:
    owned = next(one for one in COLLECTIONS if one.tenant is not None)
    made = Descriptions(APP)
    assert owned.id.encode() not in made.of(PUBLIC)
    assert f"/collections/{owned.id}/items".encode() in made.of([*PUBLIC, owned])
    assert owned.id.encode() not in made.of(PUBLIC)


def test_the_general_document_stays_as_it_was() -> None:
    before = msgspec.json.encode(APP.openapi())
    described(APP.openapi(), PUBLIC)
    assert msgspec.json.encode(APP.openapi()) == before
