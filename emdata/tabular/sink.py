"""A file that only grows, whose content is taken away while it is written."""

from __future__ import annotations

import io


class Sink(io.RawIOBase):
    """What writers of Arrow and Parquet write to; ``take`` returns what came since."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written in all."""
        return self._size

    def write(self, data: object) -> int:
        """Keep a copy of ``data``; returns its length in bytes."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
