"""A bounded memory: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

LARGEST_SHARE = 16
"""One answer may take so small a part of the memory; larger ones are not kept."""
OVERHEAD_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is sent. token: the version of its data. pairs: headers in ASGI's form."""

    token: str
    etag: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    route: object = None
    path_params: dict[str, str] | None = None
    collection: str = ""
    rows: int = 0
    format: str = ""

    @property
    def size(self) -> int:
        """Bytes that it takes, roughly."""
        return len(self.body) + OVERHEAD_BYTES


class Store:
    """Answers by key, at most so many bytes of them."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    @property
    def bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def get(self, key: Hashable, token: str) -> Kept | None:
        """Return what was made from this version of the data; what was not is forgotten."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.token != token:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def peek(self, key: Hashable) -> Kept | None:
        """Return what is kept under a key, of whatever version."""
        return self._kept.get(key)

    def put(self, key: Hashable, kept: Kept) -> None:
        """Keep an answer, unless it is too large."""
        self._forget(key)
        if kept.size * LARGEST_SHARE > self._most:
            return
        self._kept[key] = kept
        self._bytes += kept.size
        while self._bytes > self._most:
            _, old = self._kept.popitem(last=False)
            self._bytes -= old.size

    def _forget(self, key: Hashable) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self._bytes -= old.size
