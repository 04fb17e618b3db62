"""Who owns a writer's log: one directory a turn, renamed at every opening.

``buffer/<writer>/log-<n>/`` holds the segments and ``lock-<n>`` beside it is locked (flock) by the
process that has the turn. Whoever opens the log renames the directory to the next number. The
rename is atomic and names what it expects, so of several that try one succeeds. A process that was
stopped and continues finds none of its paths any more: it can create, confirm and remove nothing.
The one file it still has open is its newest segment, so that one is replaced by a copy before it
is read, and the fenced process asks ``Claim.check`` after an fsync, before it acknowledges.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from emdata.errors import BufferUnavailable, ServiceError
from emdata.telemetry import get_logger

log = get_logger(__name__)
_TURN = re.compile(r"^log-(\d{8})$")
# A holder writes to the newest segment; the one before it may still be open in a change-over.
STILL_OPEN = 2
_OLD_LAYOUT = ("*.seg", "*.ack", "quarantine", "unapplied")


class Fenced(BufferUnavailable):
    """Another manager took this log over; nothing may be acknowledged or released any more."""

    code = "fenced"


class BufferInUse(ServiceError):
    """Another process has the buffer."""

    code = "buffer_in_use"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What can be seen of a buffer's holder from outside.

    turn is 0 before the first opening. pulse_ns is the lock file's time of modification: only
    that it changes means anything, because it is another machine's clock.
    """

    turn: int
    pulse_ns: int
    is_locked: bool


class Claim:
    """Ownership of a writer's log, from ``claim`` until ``close`` or until it is taken over."""

    def __init__(self, base: Path, turn: int, lock_fd: int) -> None:
        self.base, self.turn = base, turn
        self.directory = _log_path(base, turn)
        self._lock_fd = lock_fd
        self._identity = _identity(self.directory)

    def check(self) -> None:
        """Raise Fenced when the log has another owner; one look at the directory, about 1 us.

        Raises BufferUnavailable when the disk does not say.
        """
        try:
            is_ours = _identity(self.directory) == self._identity
        except FileNotFoundError:
            is_ours = False
        except OSError as error:
            raise BufferUnavailable(f"buffer {self.directory}: {error}") from error
        if not is_ours:
            raise Fenced(
                f"buffer {self.base}: turn {self.turn} is over, the log is now "
                f"{log_directory(self.base).name}; what was acknowledged is safe there"
            )

    def pulse(self) -> None:
        """Show that this process lives; raises OSError."""
        os.utime(self._lock_fd)

    def close(self) -> None:
        """Give the log up."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
        self._lock_fd = -1


def log_directory(base: Path) -> Path:
    """Return the directory that holds a writer's segments; ``base`` itself in the old layout."""
    turn = _current_turn(base)
    return _log_path(base, turn) if turn else base


def sight(base: Path) -> Sighting:
    """Look at a buffer's holder without disturbing it. Raises OSError."""
    turn = _current_turn(base)
    try:
        # Opened anew each time: a network file system refreshes its attributes then.
        fd = os.open(_lock_path(base, turn), os.O_RDWR)
    except FileNotFoundError:
        return Sighting(turn, 0, False)
    try:
        return Sighting(turn, os.fstat(fd).st_mtime_ns, not _locks(fd, fcntl.LOCK_SH))
    finally:
        os.close(fd)


def claim(base: Path, *, even_from: int | None = None, is_takeover: bool = False) -> Claim:
    """Take a writer's log.

    is_takeover: the holder before may live on another machine, whatever its lock says.
    Raises BufferInUse when another process has it, unless it is turn ``even_from``, whose holder
    was found without a sign of life. Raises OSError when the disk refuses.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    turn = _current_turn(base)
    fd = _lock(base, turn + 1)
    try:
        is_stolen = _is_held(base, turn)
        if is_stolen and turn != even_from:
            raise _in_use(base)
        _move_old_layout(base, turn)
        directory = _next_turn(base, turn)
        if is_stolen or is_takeover:
            _copy_newest(directory)
        _sync(base)
        for lock in (_lock_path(base, turn), base / "lock", directory / "lock"):
            lock.unlink(missing_ok=True)
        log.info("buffer_claimed", turn=turn + 1, is_stolen=is_stolen)
        return Claim(base, turn + 1, fd)
    except BaseException:
        os.close(fd)
        raise


def _lock(base: Path, turn: int) -> int:
    fd = os.open(_lock_path(base, turn), os.O_CREAT | os.O_RDWR, 0o600)
    if _locks(fd, fcntl.LOCK_EX):
        return fd
    os.close(fd)
    raise _in_use(base)


def _locks(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(base: Path, turn: int) -> bool:
    """Whether a process has the turn, or the directory in the layout without turns."""
    for path in (_lock_path(base, turn), base / "lock"):
        # A shared lock: two that only look must not take each other for the holder.
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDWR)
            try:
                if not _locks(fd, fcntl.LOCK_SH):
                    return True
            finally:
                os.close(fd)
    return False


def _next_turn(base: Path, turn: int) -> Path:
    target = _log_path(base, turn + 1)
    moved = base / "moving"
    if turn == 0 and not moved.exists():
        target.mkdir(mode=0o700)
        return target
    try:
        os.rename(_log_path(base, turn) if turn else moved, target)
    except FileNotFoundError:
        raise _in_use(base) from None  # another one was quicker
    return target


def _move_old_layout(base: Path, turn: int) -> None:
    """Move what an older release left beside the turns; goes on where an earlier try ended."""
    found = [path for pattern in _OLD_LAYOUT for path in base.glob(pattern)]
    if not found:
        return
    target = _log_path(base, turn) if turn else base / "moving"
    target.mkdir(exist_ok=True, mode=0o700)
    for path in found:
        os.rename(path, target / path.name)
    log.info("buffer_layout_moved", files=len(found))


def _copy_newest(directory: Path) -> None:
    """Give the newest segments other inodes, out of reach of the process that has them open."""
    for leftover in directory.glob("*.copy"):
        leftover.unlink()
    for path in sorted(directory.glob("*.seg"))[-STILL_OPEN:]:
        copy = path.with_suffix(".copy")
        shutil.copyfile(path, copy)
        _sync(copy)
        os.replace(copy, path)
    _sync(directory)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _current_turn(base: Path) -> int:
    try:
        turns = [int(match[1]) for name in os.listdir(base) if (match := _TURN.match(name))]
    except FileNotFoundError:
        return 0
    return max(turns, default=0)


def _log_path(base: Path, turn: int) -> Path:
    return base / f"log-{turn:08d}"


def _lock_path(base: Path, turn: int) -> Path:
    return base / f"lock-{turn:08d}"


def _identity(directory: Path) -> tuple[int, int]:
    found = os.stat(directory)
    return found.st_dev, found.st_ino


def _in_use(base: Path) -> BufferInUse:
    return BufferInUse(
        f"buffer {base} is in use by another stream manager; stop it, run this one with "
        "--standby, or give it another EMDATA_WRITER"
    )
