"""Copies of the buffer's closed segments in object storage, for a second site.

A segment that is done is not removed but moved to ``outgoing/``, copied from there, and removed
then; one that is closed and still waits for Kafka is copied where it lies, and its confirmations
again whenever there are more. So a site that is lost leaves behind all but its newest segment.

Keys: ``<writer>/<number>-<first 16 hex digits of the SHA-256>.seg`` and ``.ack``. The hash keeps
apart what two lives of a directory called by the same number.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from emdata.clock import Clock
from emdata.objects import Encryption, open_store
from emdata.settings import Settings
from emdata.telemetry import get_logger
from stream_manager.buffer.disk import OsDisk

log = get_logger(__name__)
EVERY_SECONDS = 5.0
SETTLE_SECONDS = 2.0  # a segment's confirmations follow it into outgoing/ a moment later
_SEGMENT = re.compile(r"^(\d{20})\.seg$")
_KEY = re.compile(r"^\d{1,9}/\d{20}-[0-9a-f]{16}\.(seg|ack)$")
_PART = 8 << 20


class KeepingDisk(OsDisk):
    """Moves what the log removes to ``outgoing`` instead: same file system, no copy."""

    def __init__(self, outgoing: Path) -> None:
        outgoing.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._outgoing = outgoing

    def remove(self, path: Path) -> None:
        """Move a segment or its confirmations away; a missing file is fine."""
        try:
            os.replace(path, self._outgoing / path.name)
        except FileNotFoundError:
            return


class SegmentCopies:
    """One thread. A store that is away only makes it wait.

    directory: where the log's segments lie; the log must remove them by ``disk``. Beyond
    ``max_bytes`` in ``outgoing`` the oldest are removed without a copy, named in the log and
    counted in ``lost``. has_store: whether the last round succeeded.
    """

    def __init__(
        self,
        directory: Path,
        outgoing: Path,
        store: ObjectStore,
        *,
        writer: int,
        max_bytes: int,
        clock: Clock,
    ) -> None:
        self._directory, self._outgoing, self._store = directory, outgoing, store
        self.disk = KeepingDisk(outgoing)
        self._prefix, self._max_bytes, self._clock = str(writer), max_bytes, clock
        self._copied: dict[str, tuple[str, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="segment-copies", daemon=True)
        self.lost = 0
        self.has_store = True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not copied stays and is copied after the next start."""
        self._stop.set()
        self._thread.join(3.0)

    def copy_once(self) -> int:
        """Copy what is closed and not copied yet; returns how many objects were written.

        Raises OSError when the store or the disk refuses.
        """
        self._keep_bound()
        written = 0
        for path in _segments(self._directory)[:-1]:
            written += self._copy(path)
        for path in _segments(self._outgoing):
            if self._clock.now().timestamp() - path.stat().st_ctime < SETTLE_SECONDS:
                continue
            written += self._copy(path)
            for done in (path, path.with_suffix(".ack")):
                done.unlink(missing_ok=True)
            self._copied.pop(path.name, None)
        return written

    def waiting_bytes(self) -> int:
        """Return the bytes of segments that are done and not copied yet."""
        return sum(_size(path) for path in self._outgoing.iterdir())

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                self.copy_once()
            except OSError as error:
                log.warning("segments_not_copied", error=str(error)[:300])
                self.has_store = False
            else:
                self.has_store = True

    def _copy(self, path: Path) -> int:
        """Copy one segment and its confirmations, unless that was done; returns objects written."""
        known = self._copied.get(path.name)
        written = 0
        try:
            if known is None:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
                known = f"{self._prefix}/{path.stem}-{digest}", -1
                if not self._has(f"{known[0]}.seg", _size(path)):
                    self._put(f"{known[0]}.seg", path)
                    written += 1
            acks = path.with_suffix(".ack")
            size = _size(acks)
            if size and size != known[1]:
                self._put(f"{known[0]}.ack", acks)
                written += 1
        except FileNotFoundError:
            return written  # done meanwhile: it is found in outgoing/
        self._copied[path.name] = known[0], size
        return written

    def _put(self, key: str, path: Path) -> None:
        try:
            obstore.put(self._store, key, path, chunk_size=_PART)
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

    def _has(self, key: str, size: int) -> bool:
        try:
            return obstore.head(self._store, key)["size"] == size
        except FileNotFoundError:
            return False
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error

    def _keep_bound(self) -> None:
        """Remove the oldest uncopied segments while there are too many: the disk comes first."""
        waiting = _segments(self._outgoing)
        left = self.waiting_bytes()
        for path in waiting:
            if left <= self._max_bytes:
                return
            acks = path.with_suffix(".ack")
            left -= _size(path) + _size(acks)
            for one in (path, acks):
                one.unlink(missing_ok=True)
            self.lost += 1
            log.error("segment_removed_uncopied", segment=path.name, lost=self.lost)


def copies_of(
    settings: Settings, base: Path, directory: Path, clock: Clock
) -> SegmentCopies | None:
    """Return what copies a writer's log, or None when no address is set.

    base: the writer's own directory, which stays when ``directory`` gets another name.
    Raises SettingError for an address that names no store.
    """
    if not settings.buffer_copies_url:
        return None
    return SegmentCopies(
        directory,
        base / "outgoing",
        open_store(settings.buffer_copies_url, Encryption.of(settings)),
        writer=settings.writer,
        max_bytes=settings.buffer_copies_max_mb << 20,
        clock=clock,
    )


def fetch(store: ObjectStore, folder: Path) -> list[Path]:
    """Fetch all copies into ``folder``/<writer>/; returns the segments, by writer and number.

    Raises OSError when the store refuses.
    """
    try:
        for batch in obstore.list(store):
            for meta in batch:
                if not _KEY.match(meta["path"]):
                    continue
                place = folder / meta["path"]
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    for part in obstore.get(store, meta["path"]).stream():
                        file.write(part)
    except BaseError as error:
        raise OSError(f"object storage: {error}") from error
    return sorted(folder.glob("*/*.seg"), key=lambda path: (int(path.parent.name), path.name))


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _SEGMENT.match(path.name))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
