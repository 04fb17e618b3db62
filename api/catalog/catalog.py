"""All collections, by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from api.catalog.datasets import collection_of
from api.catalog.marts import mart_collections
from api.catalog.model import Collection
from emdata.contracts import contracts
from emdata.contracts.base import Record


class Catalog:
    """What the API offers. Which of it a caller may see is ``access``'s business."""

    def __init__(self, collections: Mapping[str, Collection]) -> None:
        self._collections = dict(collections)

    @classmethod
    def of(
        cls, models: Path, database: str, records: Mapping[str, type[Record]] | None = None
    ) -> Catalog:
        """Return the catalog of the contracts and of a dbt project's public models."""
        chosen = contracts() if records is None else records
        datasets = [collection_of(record) for record in chosen.values()]
        marts = mart_collections(models, database)
        return cls({one.id: one for one in (*datasets, *marts)})

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def get(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        return self._collections.get(name)
