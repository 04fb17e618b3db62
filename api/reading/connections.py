"""Connections to StarRocks: taken by one at a time, thrown away after anything unusual."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.converters import escape_item

from api.query.model import Statement
from api.reading.rows import Broken, Row, batches, converters
from emdata.errors import WarehouseUnavailable
from emdata.transport.starrocks import pymysql_security

IDLE_SECONDS = 20.0
"""A connection that was free for longer is asked whether it lives before it is used."""
GRACE_SECONDS = 5.0
"""Beyond a statement's limit, which StarRocks keeps itself, until its socket is given up."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where StarRocks is and who asks; a user who may only read."""

    host: str
    port: int
    user: str
    password: str
    connect_seconds: float = 5.0
    ca_file: Path | None = None


def sql_of(statement: Statement) -> str:
    """Return the text with its values in it, each escaped by PyMySQL.

    Raises pymysql.ProgrammingError for a value that SQL has no literal for (NaN).
    """
    if not statement.values:
        return statement.sql
    escaped = tuple(str(escape_item(value, "utf8mb4")) for value in statement.values)
    return statement.sql % escaped


class Connection:
    """One connection; at most one statement runs on it."""

    def __init__(self, address: Address) -> None:
        self._mysql: Any = pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            connect_timeout=address.connect_seconds,
            # Of the greeting too, which PyMySQL would wait for without end.
            read_timeout=address.connect_seconds,
            write_timeout=address.connect_seconds,
            autocommit=True,
            **pymysql_security(address.ca_file),
        )
        self._limit = 0
        self.used_at = time.monotonic()
        self.is_new = True
        self.is_closed = False

    @property
    def id(self) -> int:
        """What KILL calls it."""
        return int(self._mysql.thread_id())

    def run(self, statement: Statement, seconds: float, size: int) -> Iterator[list[Row]]:
        """Yield the rows in batches of ``size``; nothing more is held than one chunk beside.

        The connection is of use again only behind the last batch. Raises what PyMySQL raises,
        Broken, Refused and OSError.
        """
        limit = max(1, round(seconds))
        mysql = self._mysql
        # PyMySQL sets it on the socket with each packet that it reads.
        mysql._read_timeout = limit + GRACE_SECONDS
        if limit != self._limit:
            mysql.query(f"SET query_timeout = {limit}")
            self._limit = limit
        mysql.query(sql_of(statement), unbuffered=True)
        result = mysql._result
        if not result.unbuffered_active:
            raise Broken("a statement without rows")
        # From here on the rows are ours to read; PyMySQL would read them to their end on deletion.
        result.unbuffered_active, result.connection, mysql._result = False, None, None
        yield from batches(mysql._rfile, converters([one.type_code for one in result.fields]), size)
        self.used_at, self.is_new = time.monotonic(), False

    def is_alive(self) -> bool:
        """Whether it still answers; asked only after a while without use."""
        if time.monotonic() - self.used_at < IDLE_SECONDS:
            return True
        try:
            self._mysql.ping(reconnect=False)
        except (pymysql.MySQLError, OSError):
            return False
        return True

    def close(self) -> None:
        """End it, from any thread; what still runs on it fails."""
        self.is_closed = True
        # Without a farewell, which could wait for a server that does not read.
        self._mysql._force_close()


class Pool:
    """Free connections, the last used first; their number is bounded by who takes them."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self) -> Connection:
        """Return a connection that is nobody else's; raises WarehouseUnavailable."""
        while True:
            with self._lock:
                if not self._free:
                    break
                connection = self._free.pop()
            if connection.is_alive():
                return connection
            connection.close()
        try:
            return Connection(self._address)
        except (pymysql.MySQLError, OSError) as error:
            # Also a refused login: the user is made by a start that may still be under way.
            raise WarehouseUnavailable(f"StarRocks: {error}") from error

    def give_back(self, connection: Connection) -> None:
        """Take back a connection behind the last row of a statement."""
        with self._lock:
            if not self._is_closed and not connection.is_closed:
                self._free.append(connection)
                return
        connection.close()

    def drop_free(self) -> None:
        """Close all that are free: the server they belong to is gone."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def kill(self, number: int) -> None:
        """End the statement of a connection that nobody waits for any more."""
        with suppress(pymysql.MySQLError, OSError):
            connection: Any = pymysql.connect(
                host=self._address.host,
                port=self._address.port,
                user=self._address.user,
                password=self._address.password,
                connect_timeout=2,
                read_timeout=2,
                **pymysql_security(self._address.ca_file),
            )
            with connection:
                connection.query(f"KILL QUERY {number}")

    def close(self) -> None:
        """Close what is free, and what comes back."""
        self._is_closed = True
        self.drop_free()
