"""Reads bulk files from object storage, and puts them there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from emdata.bulk.manifest import (
    DATASET,
    Index,
    Manifest,
    day_prefix,
    decode_index,
    decode_manifest,
    encode,
    index_key,
    manifest_key,
)
from emdata.objects import Encryption, open_store

if TYPE_CHECKING:
    from emdata.paths import Paths

PIECE = 1 << 20


class Shelf:
    """The bulk files of one platform. Of another mode's files (simulated or not) it knows nothing.

    Raises OSError when the storage cannot be read or written, BulkDamaged for what is no manifest.
    """

    def __init__(
        self, url: str, *, is_simulated: bool, encryption: Encryption | None = None
    ) -> None:
        self._store = open_store(url, encryption)
        self._folder = Path(url.removeprefix("file://")) if url.startswith("file://") else None
        self.is_simulated = is_simulated

    @classmethod
    def of(cls, paths: Paths) -> Shelf:
        """Return the shelf that the settings name; simulated files have a place of their own."""
        is_simulated = paths.mode == "simulator"
        url = paths.settings.bulk_url.rstrip("/")
        if not url:
            return cls(f"file://{paths.objects}", is_simulated=is_simulated)
        place = f"{url}/simulated" if is_simulated else url
        encryption = Encryption.of(paths.settings)
        return cls(place, is_simulated=is_simulated, encryption=encryption)

    def index(self, dataset: str) -> Index:
        """Return the days of a dataset; empty before the first build."""
        return self._index(dataset, self._get(index_key(dataset)) if _is_name(dataset) else None)

    async def read_index(self, dataset: str) -> Index:
        """Return the same without a thread."""
        data = await self._read(index_key(dataset)) if _is_name(dataset) else None
        return self._index(dataset, data)

    def manifest(self, dataset: str, day: date) -> Manifest | None:
        """Return the manifest of a day, or None."""
        key = manifest_key(dataset, day)
        return self._manifest(key, self._get(key) if _is_name(dataset) else None)

    async def read_manifest(self, dataset: str, day: date) -> Manifest | None:
        """Return the same without a thread."""
        key = manifest_key(dataset, day)
        return self._manifest(key, await self._read(key) if _is_name(dataset) else None)

    def path(self, key: str) -> Path | None:
        """Return where a file lies on this machine's disk, or None for storage elsewhere."""
        return None if self._folder is None else self._folder / key

    async def pieces(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Return the bytes of a file from ``start`` to before ``end``, piece by piece.

        Raises FileNotFoundError at once, and OSError also while they are read.
        """
        try:
            result = await obstore.get_async(self._store, key, options={"range": (start, end)})
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

        async def read() -> AsyncIterator[bytes]:
            try:
                async for piece in result.stream(min_chunk_size=PIECE):
                    yield bytes(piece)
            except BaseError as error:
                raise OSError(f"{key}: {error}") from error

        return read()

    def put_file(self, key: str, file: Path) -> None:
        """Store a file; it is there as a whole or not at all."""
        try:
            obstore.put(self._store, key, file)
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

    def put_manifest(self, manifest: Manifest) -> None:
        """Store a manifest, after its files."""
        self._put(manifest_key(manifest.dataset, manifest.day), encode(manifest))

    def put_index(self, index: Index) -> None:
        """Store an index, after its manifests."""
        self._put(index_key(index.dataset), encode(index))

    def remove_others(self, dataset: str, day: date, keep: set[str]) -> None:
        """Remove a day's files that are not among the keys to keep."""
        try:
            found = [
                str(meta["path"])
                for batch in obstore.list(self._store, day_prefix(dataset, day))
                for meta in batch
            ]
            for key in found:
                if key not in keep and not key.endswith("/manifest.json"):
                    obstore.delete(self._store, key)
        except BaseError as error:
            raise OSError(f"{dataset} {day}: {error}") from error

    def _index(self, dataset: str, data: bytes | None) -> Index:
        empty = Index(dataset=dataset, is_simulated=self.is_simulated)
        index = empty if data is None else decode_index(index_key(dataset), data)
        return index if index.is_simulated == self.is_simulated else empty

    def _manifest(self, key: str, data: bytes | None) -> Manifest | None:
        manifest = None if data is None else decode_manifest(key, data)
        return manifest if manifest and manifest.is_simulated == self.is_simulated else None

    async def _read(self, key: str) -> bytes | None:
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

    def _get(self, key: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

    def _put(self, key: str, data: bytes) -> None:
        try:
            obstore.put(self._store, key, data)
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error


def _is_name(dataset: str) -> bool:
    return DATASET.match(dataset) is not None
