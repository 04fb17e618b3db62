"""A thin StarRocks client over the MySQL protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.cursors

from emdata.errors import WarehouseError, WarehouseUnavailable
from emdata.transport.starrocks import pymysql_security

if TYPE_CHECKING:
    from emdata.settings import Settings

# 2003/2006/2013/2055: cannot connect, gone away, lost, lost during query (client errors of MySQL).
_CONNECTION_CODES = frozenset({2003, 2006, 2013, 2055})


class Warehouse:
    """Opens one connection a call; cheap on loopback and never stale after a restart."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        timeout: float = 10.0,
        ca_file: Path | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "host": host,
            "port": port,
            "user": user,
            "password": password,
            "connect_timeout": timeout,
            "read_timeout": timeout,
            "write_timeout": timeout,
            "autocommit": True,
            "cursorclass": pymysql.cursors.DictCursor,
            **pymysql_security(ca_file),
        }

    @classmethod
    def of(cls, settings: Settings, password: str, *, timeout: float = 10.0) -> Warehouse:
        """Return a client of the StarRocks that the settings name; ``timeout`` in seconds."""
        host, port = settings.starrocks_host, settings.starrocks_mysql_port
        ca_file = settings.starrocks_ca_file
        return cls(host, port, settings.starrocks_user, password, timeout=timeout, ca_file=ca_file)

    @contextmanager
    def connect(self) -> Iterator[pymysql.connections.Connection[Any]]:
        """Yield an open connection.

        Raises WarehouseUnavailable when the server cannot be reached, WarehouseError when it
        refuses a statement.
        """
        try:
            connection = pymysql.connect(**self._options)
        except pymysql.MySQLError as error:
            raise translate(error) from error
        try:
            yield connection
        except pymysql.MySQLError as error:
            raise translate(error) from error
        finally:
            connection.close()

    def query(self, sql: str, args: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return all rows of a statement as dicts by column name."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())

    def execute(self, *statements: str) -> None:
        """Run statements one after the other on one connection."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def translate(error: pymysql.MySQLError) -> WarehouseError | WarehouseUnavailable:
    """Return the error of ours that an error of the driver is."""
    code = error.args[0] if error.args else 0
    if isinstance(error, pymysql.err.InterfaceError) or code in _CONNECTION_CODES:
        return WarehouseUnavailable(f"StarRocks: {error}")
    return WarehouseError(f"StarRocks: {error}")
