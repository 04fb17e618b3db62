"""A pool of connections to StarRocks, used from threads so that the event loop never waits."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
import pymysql.cursors

from api.problems import Problem
from api.query.model import Statement
from emdata.errors import WarehouseUnavailable
from emdata.warehouse import translate

Row = tuple[Any, ...]
TIMED_OUT = "query_timeout"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where StarRocks is and who asks; a user who may only read."""

    host: str
    port: int
    user: str
    password: str
    connect_seconds: float = 5.0


class Reader:
    """Runs statements, at most ``connections`` at a time."""

    def __init__(self, address: Address, connections: int) -> None:
        self._address = address
        self._free: queue.LifoQueue[pymysql.connections.Connection[Any]] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="starrocks")

    async def rows(self, statement: Statement, *, seconds: float = 10.0) -> list[Row]:
        """Return all rows.

        Raises Problem ``timed-out`` beyond ``seconds``, WarehouseUnavailable and WarehouseError.
        """
        rows: list[Row] = await self._run(lambda: self._fetch(statement, seconds))
        return rows

    async def stream(
        self, statement: Statement, *, seconds: float = 60.0, size: int = 2000
    ) -> AsyncIterator[list[Row]]:
        """Yield the rows in batches of ``size``; nothing more is held than two of them.

        Raises as ``rows``.
        """
        connection = await self._run(self._take)
        is_whole = False
        try:
            cursor = await self._run(lambda: self._open(connection, statement, seconds))
            while batch := await self._run(lambda: list(cursor.fetchmany(size))):
                yield batch
            is_whole = True
        finally:
            if is_whole:
                self._free.put(connection)
            else:
                # Rows are still on the way: closing the socket ends the query.
                connection.close()

    def close(self) -> None:
        """Close every free connection; running statements end with their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with suppress(queue.Empty):
            while True:
                self._free.get_nowait().close()

    async def _run(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _fetch(self, statement: Statement, seconds: float) -> list[Row]:
        connection = self._take()
        try:
            cursor = self._open(connection, statement, seconds)
            rows = list(cursor.fetchall())
        except BaseException:
            connection.close()
            raise
        self._free.put(connection)
        return rows

    def _open(
        self,
        connection: pymysql.connections.Connection[Any],
        statement: Statement,
        seconds: float,
    ) -> Any:
        cursor = connection.cursor(pymysql.cursors.SSCursor)
        try:
            cursor.execute(f"SET query_timeout = {max(1, round(seconds))}")
            cursor.execute(statement.sql, _bound(statement.values))
        except pymysql.MySQLError as error:
            raise _judge(error) from error
        return cursor

    def _take(self) -> pymysql.connections.Connection[Any]:
        with suppress(queue.Empty):
            while True:
                connection = self._free.get_nowait()
                if _is_alive(connection):
                    return connection
        address = self._address
        try:
            return pymysql.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                connect_timeout=address.connect_seconds,
                autocommit=True,
            )
        except pymysql.MySQLError as error:
            raise WarehouseUnavailable(f"StarRocks: {error}") from error


def _bound(values: Sequence[Any]) -> Sequence[Any] | None:
    return values or None


def _is_alive(connection: pymysql.connections.Connection[Any]) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.MySQLError:
        return False
    return True


def _judge(error: pymysql.MySQLError) -> Exception:
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if TIMED_OUT in text.lower() or "timeout" in text.lower():
        return Problem("timed-out", "the query reached its time limit; ask for less at once")
    return translate(error)
