"""What the buffer asks of a disk, behind an interface so that tests can tear, fill and break it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """The system calls of the buffer; every one may raise OSError.

    readers: how many threads may read at once; 0 for a disk that must not see any.
    """

    readers: int

    def create(self, path: Path) -> int:
        """Open a new file for appending; fails when it exists."""
        ...

    def append(self, fd: int, data: bytes | bytearray) -> None:
        """Write all of ``data`` at the end."""
        ...

    def sync(self, fd: int) -> None:
        """Return once the file's data is on stable storage."""
        ...

    def sync_file(self, path: Path) -> None:
        """Return once the data of a file, whoever wrote it, is on stable storage."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return once the directory's entries are on stable storage."""
        ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file and make the cut durable."""
        ...

    def read(self, path: Path) -> bytes:
        """Return a file's bytes."""
        ...

    def read_at(self, path: Path, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``; fewer at the end of the file."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Return the bytes an ordinary user may still write."""
        ...


class OsDisk:
    """The operating system's files."""

    readers = 2

    def create(self, path: Path) -> int:
        """Open a new file for appending; fails when it exists."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)

    def append(self, fd: int, data: bytes | bytearray) -> None:
        """Write all of ``data`` at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        """Return once the file's data is on stable storage."""
        os.fdatasync(fd)

    def sync_file(self, path: Path) -> None:
        """Return once the data of a file, whoever wrote it, is on stable storage."""
        fd = os.open(path, os.O_RDWR)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Return once the directory's entries are on stable storage."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file and make the cut durable."""
        fd = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(self, path: Path) -> bytes:
        """Return a file's bytes."""
        return path.read_bytes()

    def read_at(self, path: Path, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``; fewer at the end of the file."""
        fd = os.open(path, os.O_RDONLY)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """Return the bytes an ordinary user may still write."""
        stats = os.statvfs(path)
        return stats.f_bavail * stats.f_frsize
