"""The store: the DuckDB file with its catalog, and every change to them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator

import duckdb
import structlog

from embedded_starrocks.errors import SqlError, StartupError
from embedded_starrocks.mysql.auth import stored_hash
from embedded_starrocks.sql.infoschema import create_views
from embedded_starrocks.sql.macrostate import keep_macros
from embedded_starrocks.sql.partitiondefs import with_partitions
from embedded_starrocks.sql.partitionlists import PartitionLists
from embedded_starrocks.sql.plans import PlanCache
from embedded_starrocks.sql.variables import Value, known_variables
from embedded_starrocks.storage.engine import Engine
from embedded_starrocks.storage.labels import Labels
from embedded_starrocks.storage.metadata import (
    SCHEMA,
    Catalog,
    create_metadata,
    quoted,
    read_catalog,
    update_relation,
)
from embedded_starrocks.storage.partitions import replace_partitions
from embedded_starrocks.storage.rights import ROOT
from embedded_starrocks.storage.versions import Versions, count_start

log = structlog.get_logger("embedded_starrocks")

ESTIMATE_SECONDS = 10.0
# The first layout that keeps RANGE and LIST partitions one by one.
WITH_PARTITIONS = 3
# DuckDB's own schemas, and ours, can't be names of databases.
RESERVED_DATABASES = frozenset(
    {"main", "temp", "system", "pg_catalog", "information_schema", "embedded_starrocks", "sys"}
)


class Store:
    """All data of one server. `catalog` is replaced as a whole after each change of metadata."""

    def __init__(self, engine: Engine, root_password: str, banner: str) -> None:
        self.engine = engine
        self.banner = banner
        self.plans = PlanCache()
        self._estimates: dict[tuple[str, str], int] = {}
        self._estimated_at = -ESTIMATE_SECONDS
        try:
            with engine.write() as connection:
                if create_metadata(connection) < WITH_PARTITIONS:
                    _read_partitions(connection)
                keep_macros(connection)
                create_views(connection)
                self._set_root(connection, root_password)
                self._catalog = read_catalog(connection)
                self.versions = Versions(count_start(connection))
                self.labels = Labels(connection)
                self.global_variables = _read_variables(connection)
        except (duckdb.Error, ValueError) as error:
            engine.close()
            raise StartupError(f"the data directory cannot be read: {error}") from None
        self.partition_lists = PartitionLists(self.versions)
        engine.lock_down()

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    def estimated_rows(self) -> dict[tuple[str, str], int]:
        """Rows of each table as DuckDB knows them, at most ten seconds old."""
        now = time.monotonic()
        if now - self._estimated_at > ESTIMATE_SECONDS:
            reader = self.engine.reader()
            try:
                rows = reader.execute(
                    "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() "
                    "WHERE NOT temporary"
                ).fetchall()
            finally:
                reader.close()
            self._estimates = {(schema, table): size for schema, table, size in rows}
            self._estimated_at = now
        return self._estimates

    def note_change(self, relation_id: int) -> None:
        """A table's rows have changed; in their transaction or behind it."""
        self.versions.note(relation_id)

    @contextlib.contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction that changes rows only."""
        with self._counted(), self.engine.write() as connection:
            yield connection

    @contextlib.contextmanager
    def change(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction that changes metadata, too; the catalog follows its commit."""
        fresh: list[Catalog] = []

        def publish() -> None:
            self.versions.note_differences(self._catalog, fresh[0])
            self._catalog = fresh[0]

        with self._counted(), self.engine.write(after_commit=publish) as connection:
            yield connection
            fresh.append(read_catalog(connection))

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Versions rise behind the commit: one that is seen never stands for older rows."""
        self.versions.begin()
        is_committed = False
        try:
            yield
            is_committed = True
        finally:
            self.versions.end(is_committed)

    def _set_root(self, connection: duckdb.DuckDBPyConnection, password: str) -> None:
        connection.execute(f"DELETE FROM {SCHEMA}.users WHERE name = ?", [ROOT])
        connection.execute(
            f"INSERT INTO {SCHEMA}.users (name, password_hash) VALUES (?, ?)",
            [ROOT, stored_hash(password)],
        )


def _read_variables(connection: duckdb.DuckDBPyConnection) -> dict[str, Value]:
    """What SET GLOBAL has set; variables that this release does not know are left out."""
    rows = connection.execute(f"SELECT name, value FROM {SCHEMA}.variables").fetchall()
    return {name: json.loads(value) for name, value in rows if name in known_variables()}


def _read_partitions(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring tables of an older layout, which kept PARTITION BY as text, up to date."""
    for relation in read_catalog(connection).relations.values():
        try:
            now = with_partitions(relation)
        except SqlError as error:
            # It was never checked: the table goes on without partitions, as it did so far.
            log.warning("partitions_not_read", table=relation.name, error=error.message)
            now = dataclasses.replace(relation, partition_by="")
        if now is not relation:
            update_relation(connection, relation, partition_by=now.partition_by)
            replace_partitions(connection, relation.id, now.partitions)


def create_database(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f"CREATE SCHEMA {quoted(name)}")
    connection.execute(
        f"INSERT INTO {SCHEMA}.databases "
        f"VALUES (?, nextval('{SCHEMA}.object_ids'), now()::TIMESTAMP, '')",
        [name],
    )
