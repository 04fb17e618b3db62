"""Statements on StarRocks, run in threads so that the event loop never waits.

Pages and exports have lanes of their own: a flood of exports leaves the small reads as fast as they
were. Within a lane the caller's priority counts (``Policy.priority``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pymysql

from api.query.model import Statement
from api.reading.connections import Address, Connection, Pool
from api.reading.errors import judge
from api.reading.lane import Lane
from api.reading.rows import Broken, Refused, Row
from emdata.errors import WarehouseUnavailable
from emdata.warehouse import translate

__all__ = ["Address", "Reader", "Row"]

T = TypeVar("T")
DEFAULT_PRIORITY = 3
WAIT_SECONDS = 10.0
"""How long a page waits for a connection; exports wait three times as long."""
PAGE_ROWS = 10_000
_FAILURES = (pymysql.MySQLError, Broken, Refused, OSError)


class Reader:
    """Runs statements, at most ``connections`` pages and ``exports`` exports at a time.

    ``exports`` None: a quarter as many as pages, at least two.
    """

    def __init__(self, address: Address, connections: int, exports: int | None = None) -> None:
        export_places = max(2, connections // 4) if exports is None else exports
        self._pool = Pool(address)
        self._pages, self._exports = Lane(connections), Lane(export_places)
        # One thread more each: to end what was left behind, while all others are busy.
        self._page_threads = ThreadPoolExecutor(connections + 1, thread_name_prefix="pages")
        self._export_threads = ThreadPoolExecutor(export_places + 1, thread_name_prefix="exports")

    async def rows(
        self,
        statement: Statement,
        *,
        seconds: float = 10.0,
        priority: int = DEFAULT_PRIORITY,
    ) -> list[Row]:
        """Return all rows.

        Raises Problem ``timed-out`` beyond ``seconds``, ``not-built`` for a table that is not there
        yet, ``unavailable`` when all connections stay busy; WarehouseUnavailable, WarehouseError.
        """
        async with self._pages.place(priority, WAIT_SECONDS):
            work = _Work(self._pool, statement, seconds, PAGE_ROWS)
            return await self._guarded(work, work.all_rows, self._page_threads)

    async def stream(
        self,
        statement: Statement,
        *,
        seconds: float = 60.0,
        size: int = 2000,
        priority: int = DEFAULT_PRIORITY,
    ) -> AsyncIterator[list[Row]]:
        """Yield the rows in batches of ``size``; what is not taken yet stays with StarRocks.

        Ends the query when the iteration is given up. Raises as ``rows``.
        """
        async with self._exports.place(priority, 3 * WAIT_SECONDS):
            work = _Work(self._pool, statement, seconds, size)
            try:
                while batch := await self._guarded(work, work.next_rows, self._export_threads):
                    yield batch
            finally:
                if not work.is_whole:
                    self._give_up(work)

    def close(self) -> None:
        """Close every free connection; running statements end with their threads."""
        self._page_threads.shutdown(wait=False, cancel_futures=True)
        self._export_threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()

    async def _guarded(self, work: _Work, step: Callable[[], T], threads: ThreadPoolExecutor) -> T:
        """Run a step of the work in a thread; when nobody waits any more, end the query."""
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, step)
        except asyncio.CancelledError:
            self._give_up(work)
            raise

    def _give_up(self, work: _Work) -> None:
        number = work.abandon()
        if number is not None:
            # A closed socket is noticed by StarRocks late or never.
            self._page_threads.submit(self._pool.kill, number)


class _Work:
    """One statement, from taking a connection to giving it back. Its steps run in threads."""

    def __init__(self, pool: Pool, statement: Statement, seconds: float, size: int) -> None:
        self._pool, self._statement = pool, statement
        self._seconds, self._size = seconds, size
        self._connection: Connection | None = None
        self._batches: Iterator[list[Row]] | None = None
        self._first: list[Row] | None = None
        self._is_abandoned = False
        self.is_whole = False

    def all_rows(self) -> list[Row]:
        """Return every row."""
        found = self.next_rows()
        while batch := self.next_rows():
            found += batch
        return found

    def next_rows(self) -> list[Row]:
        """Return the next batch; nothing behind the last one."""
        if self.is_whole:
            return []
        try:
            if self._batches is None:
                return self._begin()
            return self._next(self._batches)
        except _FAILURES as error:
            self._end()
            raise judge(error, self._seconds) from error

    def abandon(self) -> int | None:
        """Close the connection under a running statement; returns its number, if it has one."""
        self._is_abandoned = True
        connection = self._connection
        if connection is None or self.is_whole:
            return None
        number = connection.id
        connection.close()
        self.is_whole = True
        return number

    def _begin(self) -> list[Row]:
        """Run the statement; once more when the connection was one that the server had ended."""
        connection = self._open()
        try:
            return self._next(self._start(connection))
        except _FAILURES as error:
            self._end()
            if connection.is_new or self._is_abandoned or not _is_lost(error):
                raise
        # A restarted server has ended the others too.
        self._pool.drop_free()
        self.is_whole = False
        return self._next(self._start(self._open()))

    def _open(self) -> Connection:
        self._connection = self._pool.take()
        if self._is_abandoned:
            self._end()
            raise Broken("nobody waits for this any more")
        return self._connection

    def _start(self, connection: Connection) -> Iterator[list[Row]]:
        self._batches = connection.run(self._statement, self._seconds, self._size)
        return self._batches

    def _next(self, found: Iterator[list[Row]]) -> list[Row]:
        batch = next(found, None)
        if batch is None:
            connection, self._connection = self._connection, None
            self.is_whole = True
            if connection is not None:
                self._pool.give_back(connection)
            return []
        return batch

    def _end(self) -> None:
        """Throw the connection away: nobody knows what is still on its way."""
        connection, self._connection = self._connection, None
        self.is_whole = True
        if connection is not None:
            connection.close()


def _is_lost(error: Exception) -> bool:
    """Whether the server had ended the connection before it took the statement."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return False
    if isinstance(error, pymysql.MySQLError):
        return isinstance(translate(error), WarehouseUnavailable)
    return isinstance(error, Broken | OSError)
