"""Errors as StarRocks' MySQL protocol reports them.

Clients decide by the number (dbt creates a database on 1049, Flink stops on 1146), so every error
that leaves the server is a SqlError with one of the numbers below.
"""

from __future__ import annotations


class SqlError(Exception):
    """An error for the client: a MySQL error number, an SQLSTATE and one line of text."""

    def __init__(self, code: int, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.sqlstate = sqlstate
        self.message = " ".join(message.split())


class StartupError(Exception):
    """The server cannot start; the text says why and what to do. Exit code 2."""


def access_denied(user: str, host: str, with_password: bool) -> SqlError:
    used = "YES" if with_password else "NO"
    return SqlError(
        1045, "28000", f"Access denied for user '{user}'@'{host}' (using password: {used})"
    )


def database_denied(user: str, database: str) -> SqlError:
    return SqlError(1044, "42000", f"Access denied for user '{user}' to database '{database}'")


def table_denied(user: str, privilege: str, table: str) -> SqlError:
    return SqlError(
        1142, "42000", f"{privilege} command denied to user '{user}' for table '{table}'"
    )


def admin_denied(user: str, action: str) -> SqlError:
    return SqlError(1227, "42000", f"Access denied; user '{user}' may not {action}")


def no_database_selected() -> SqlError:
    return SqlError(1046, "3D000", "No database selected")


def unknown_database(name: str) -> SqlError:
    return SqlError(1049, "42000", f"Unknown database '{name}'")


def database_exists(name: str) -> SqlError:
    return SqlError(1007, "HY000", f"Can't create database '{name}'; database exists")


def unknown_table(database: str, table: str) -> SqlError:
    return SqlError(1146, "42S02", f"Table '{database}.{table}' doesn't exist")


def table_exists(table: str) -> SqlError:
    return SqlError(1050, "42S01", f"Table '{table}' already exists")


def unknown_dropped_table(table: str) -> SqlError:
    return SqlError(1051, "42S02", f"Unknown table '{table}'")


def unknown_column(column: str, where: str) -> SqlError:
    return SqlError(1054, "42S22", f"Unknown column '{column}' in '{where}'")


def duplicate_column(column: str) -> SqlError:
    return SqlError(1060, "42S21", f"Duplicate column name '{column}'")


def syntax_error(detail: str) -> SqlError:
    return SqlError(1064, "42000", f"Getting syntax error. Detail message: {detail}")


def semantic_error(detail: str) -> SqlError:
    return SqlError(1064, "42000", f"Getting analyzing error. Detail message: {detail}")


def unsupported(what: str) -> SqlError:
    """What StarRocks has and this stand-in has not: refused, never answered approximately."""
    return SqlError(1064, "42000", f"Not supported by embedded StarRocks: {what}")


def execution_error(detail: str) -> SqlError:
    return SqlError(1105, "HY000", detail)


def interrupted() -> SqlError:
    return SqlError(1317, "70100", "Query execution was interrupted")
