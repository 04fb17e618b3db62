"""What was last accepted per key: content hashes by key hash, in memory, loaded from the state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emdata.commits import SeenUpdate


class SeenIndex:
    """Belongs to the manager's event loop. About 130 bytes a key."""

    def __init__(self) -> None:
        self._datasets: dict[str, dict[bytes, bytes]] = {}
        self._loaded: set[str] = set()

    def load(self, dataset: str, hashes: Mapping[bytes, bytes]) -> None:
        """Take a dataset's hashes as PostgreSQL has them; what was accepted meanwhile stays."""
        self._datasets[dataset] = {**hashes, **self._datasets.get(dataset, {})}
        self._loaded.add(dataset)

    def is_loaded(self, dataset: str) -> bool:
        """Whether a dataset may be compared."""
        return dataset in self._loaded

    def content(self, dataset: str, key_hash: bytes) -> bytes | None:
        """Return the content hash last accepted for a key, or None."""
        return self._datasets.get(dataset, {}).get(key_hash)

    def update(self, dataset: str, updates: Iterable[SeenUpdate]) -> None:
        """Take what a committed poll accepted; also before the dataset is loaded."""
        known = self._datasets.setdefault(dataset, {})
        known.update((update.key_hash, update.content_hash) for update in updates)
