"""The DuckDB file: opening it safely, one writer at a time, any number of readers.

DuckDB commits with an fsync of its write-ahead log, so what `write()` has committed survives a
SIGKILL. SQL clients never reach files or the network: external access is switched off, but for the
spool directory of loads, and the configuration is locked afterwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import duckdb
import structlog

from embedded_starrocks.errors import StartupError

log = structlog.get_logger("embedded_starrocks")

FILE_NAME = "embedded_starrocks.duckdb"
# A log of at most this size is replayed at start after a kill.
WAL_LIMIT = "64MB"
# Where loads are parsed and checked before the writer takes them; lost with the process.
STAGE_DATABASE = "__stage"


class Engine:
    """One DuckDB file, held by this process alone."""

    def __init__(self, data: Path, memory_limit: str, threads: int) -> None:
        self._directory = data
        self._lock_file = _lock_directory(data)
        self.spool = (data / "spool").resolve()
        # Where repositories of snapshots are; DuckDB itself never reads or writes there.
        self.backups = data.resolve() / "backups"
        self._empty_spool()
        try:
            self._database = duckdb.connect(
                str(data / FILE_NAME),
                config={"memory_limit": memory_limit, "threads": threads},
            )
        except duckdb.Error as error:
            self._lock_file.close()
            raise StartupError(f"cannot open {data / FILE_NAME}: {error}") from None
        self._write_lock = threading.Lock()
        self._writer = self._database.cursor()
        self._writing_thread = 0

    def _empty_spool(self) -> None:
        # What lies here belongs to loads that were never acknowledged.
        self.spool.mkdir(parents=True, exist_ok=True)
        for left_over in self.spool.iterdir():
            left_over.unlink()

    def lock_down(self) -> None:
        """Close files, network and settings to everything that comes after."""
        temporary = str((self._directory / "tmp").resolve()).replace("'", "''")
        spool = str(self.spool).replace("'", "''")
        for statement in (
            f"SET temp_directory = '{temporary}'",
            f"SET wal_autocheckpoint = '{WAL_LIMIT}'",
            "SET GLOBAL TimeZone = 'UTC'",
            "SET error_on_division_by_zero = false",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET allow_community_extensions = false",
            f"ATTACH ':memory:' AS {STAGE_DATABASE}",
            f"SET allowed_directories = ['{spool}']",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._database.execute(statement)

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one session; it sees the last commit of each moment."""
        return self._database.cursor()

    @contextlib.contextmanager
    def write(
        self, after_commit: Callable[[], None] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """The only way to change data: one transaction, committed on leaving, else rolled back.

        `after_commit` runs while the next writer still waits.
        """
        with self._write_lock:
            self._writing_thread = threading.get_ident()
            self._writer.execute("BEGIN TRANSACTION")
            try:
                yield self._writer
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    # After some errors DuckDB has already ended the transaction.
                    self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
            if after_commit is not None:
                after_commit()

    def interrupt_writer(self, thread: int) -> None:
        """Interrupt the writer if it works for that thread; other transactions go on."""
        if self._write_lock.locked() and self._writing_thread == thread:
            self._writer.interrupt()

    def checkpoint(self) -> None:
        """Move the log into the file, so that the next start replays nothing."""
        with self._write_lock:
            self._writer.execute("CHECKPOINT")

    def close(self) -> None:
        """Checkpoint and let go of the file."""
        try:
            self.checkpoint()
        except duckdb.Error as error:
            # Nothing is lost: the log is replayed at the next start.
            log.warning("checkpoint_failed", error=str(error))
        self._writer.close()
        self._database.close()
        self._lock_file.close()


def _lock_directory(data: Path) -> IO[str]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock_file = open(data / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held for life
    except OSError as error:
        raise StartupError(f"--data {data} cannot be used: {error}") from None
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock_file.seek(0)
        holder = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise StartupError(
            f"--data {data} is in use by process {holder}; stop it or choose another directory"
        ) from None
    lock_file.truncate(0)
    lock_file.write(str(os.getpid()))
    lock_file.flush()
    return lock_file
