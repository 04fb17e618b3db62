"""Macros are made once and kept in the file: making them takes a quarter of a start."""

from __future__ import annotations

import hashlib
import json

import duckdb

from embedded_starrocks.sql.macros import all_macros, create_macros
from embedded_starrocks.sql.macros_values import SCHEMA

_TABLE = f"{SCHEMA}.made"


def keep_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macros, unless this file has the very same of this DuckDB."""
    wanted = _digest()
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (digest VARCHAR NOT NULL)")
    if connection.execute(f"FROM {_TABLE}").fetchall() == [(wanted,)]:
        return
    create_macros(connection)
    connection.execute(f"DELETE FROM {_TABLE}")
    connection.execute(f"INSERT INTO {_TABLE} VALUES (?)", [wanted])


def _digest() -> str:
    """Of all that the macros are made from."""
    text = json.dumps([duckdb.__version__, all_macros()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
