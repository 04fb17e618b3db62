"""A disk that crashes, fails and loses power when it is told to.

Files are real ones in a temporary directory; what a sync would have made durable is kept beside
them. At a loss of power

- a file keeps what was synced; of its unsynced tail nothing, a part, or all but some sectors is
  left (writes are dropped, torn and reordered);
- of the directory's unsynced changes the first so-and-so-many are left, in their order, as on a
  file system with a journal.

Confirmations are never synced by the log, so that all of them may be lost at a loss of power.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stream_manager.buffer import acks
from stream_manager.buffer.disk import OsDisk

SECTOR = 64  # bytes; small, so that the small batches of tests are torn too


class Crashed(BaseException):
    """The process is no more; nothing may catch this but the test."""


@dataclass
class _Change:
    """One change of the directory; content and synced are of a file that was removed."""

    path: Path
    content: bytes | None = None
    synced: int = 0


@dataclass
class FaultyDisk(OsDisk):
    """``crash_at``: the call at which it crashes, counted from 1; a write is torn there.

    errors: errno's that the next writes and syncs fail with. is_lying: syncs do nothing.
    """

    readers = 0  # one thread, so that a seed replays
    dice: random.Random = field(default_factory=random.Random)
    calls: int = 0
    crash_at: int = 0
    torn_share: float = 0.5
    errors: list[int] = field(default_factory=list)
    is_lying: bool = False
    _paths: dict[int, Path] = field(default_factory=dict)
    _synced: dict[Path, int] = field(default_factory=dict)
    _changes: list[_Change] = field(default_factory=list)

    def _call(self, torn: Callable[[], object] | None = None) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            if torn is not None:
                torn()
            raise Crashed

    def _fail(self) -> None:
        if self.errors:
            code = self.errors.pop(0)
            raise OSError(code, os.strerror(code))

    def create(self, path: Path) -> int:
        self._call()
        self._fail()
        fd = super().create(path)
        self._paths[fd] = path
        self._synced[path] = 0
        self._changes.append(_Change(path))
        return fd

    def append(self, fd: int, data: bytes | bytearray) -> None:
        part = data[: int(len(data) * self.torn_share)]
        self._call(lambda: super(FaultyDisk, self).append(fd, part))
        if self.errors:
            super().append(fd, part)
        self._fail()
        super().append(fd, data)

    def append_acks(self, path: Path, confirmed: Iterable[tuple[int, int]]) -> None:
        """What the log does by ``acks.append_acks``, as a call of this disk."""
        before = path.stat().st_size if path.exists() else 0

        def tear() -> None:
            acks.append_acks(path, confirmed)
            written = path.stat().st_size - before
            os.truncate(path, before + max(0, int(written * self.torn_share)))

        self._call(tear)
        acks.append_acks(path, confirmed)

    def sync(self, fd: int) -> None:
        self._call()
        self._fail()
        if not self.is_lying:
            path = self._paths[fd]
            self._synced[path] = path.stat().st_size

    def sync_file(self, path: Path) -> None:
        self._call()
        self._fail()
        if not self.is_lying:
            self._synced[path] = path.stat().st_size

    def sync_directory(self, path: Path) -> None:
        self._call()
        self._fail()
        if not self.is_lying:
            self._changes.clear()

    def truncate(self, path: Path, size: int) -> None:
        self._call()
        os.truncate(path, size)
        self._synced[path] = size

    def remove(self, path: Path) -> None:
        self._call()
        if path.exists():
            self._changes.append(_Change(path, path.read_bytes(), self._synced.pop(path, 0)))
        super().remove(path)

    def free_bytes(self, path: Path) -> int:
        return 1 << 40

    def power_loss(self, folder: Path) -> None:
        """Leave what a disk may hold after a loss of power; the process must be gone."""
        kept = self.dice.randint(0, len(self._changes))
        for change in reversed(self._changes[kept:]):
            if change.content is None:
                change.path.unlink(missing_ok=True)
            else:
                change.path.write_bytes(change.content)
                self._synced[change.path] = change.synced
        for path in sorted([*folder.rglob("*.seg"), *folder.rglob("*.ack")]):
            data, synced = path.read_bytes(), self._synced.get(path, 0)
            path.write_bytes(data[:synced] + self._survives(data[synced:]))
        self._changes.clear()
        for path in [*folder.rglob("*.seg"), *folder.rglob("*.ack")]:
            self._synced[path] = path.stat().st_size
        self.restarted()

    def _survives(self, tail: bytes) -> bytes:
        fate = self.dice.choice(("dropped", "torn", "reordered", "whole"))
        if fate == "dropped" or not tail:
            return b""
        if fate == "torn":
            return tail[: self.dice.randrange(len(tail))]
        left = bytearray(tail)
        if fate == "reordered":
            for start in range(0, len(left), SECTOR):
                if self.dice.random() < 0.5:
                    left[start : start + SECTOR] = bytes(len(left[start : start + SECTOR]))
        return bytes(left)

    def restarted(self) -> None:
        """Forget the process: what is on the disk now is what the next one finds.

        After a crash without a loss of power, unsynced bytes stay unsynced.
        """
        self.crash_at, self.errors = 0, []
        self._paths.clear()
