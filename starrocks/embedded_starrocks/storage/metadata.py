"""Metadata tables, kept in the same DuckDB file and changed in the same transactions as data."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from typing import Any

import duckdb
from sqlglot import exp

from embedded_starrocks.sql.types import ColumnType, from_sqlglot
from embedded_starrocks.storage import partitions
from embedded_starrocks.storage.partitions import Partition
from embedded_starrocks.storage.rights import Rights, read_rights

SCHEMA = "__starrocks"
LAYOUT_VERSION = 3

_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.layout (version INTEGER NOT NULL);
CREATE SEQUENCE IF NOT EXISTS {SCHEMA}.transaction_ids;
CREATE SEQUENCE IF NOT EXISTS {SCHEMA}.object_ids START 10001;
CREATE TABLE IF NOT EXISTS {SCHEMA}.databases (
    name VARCHAR NOT NULL, id BIGINT NOT NULL, created_at TIMESTAMP NOT NULL, properties VARCHAR
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.relations (
    id BIGINT NOT NULL, db VARCHAR NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    key_model VARCHAR NOT NULL, key_columns VARCHAR NOT NULL, comment VARCHAR NOT NULL,
    partition_by VARCHAR NOT NULL, distributed_by VARCHAR NOT NULL, order_by VARCHAR NOT NULL,
    properties VARCHAR NOT NULL, definition VARCHAR NOT NULL, refresh VARCHAR NOT NULL,
    is_active BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.columns (
    relation_id BIGINT NOT NULL, position BIGINT NOT NULL, name VARCHAR NOT NULL,
    type VARCHAR NOT NULL, data_type VARCHAR NOT NULL, column_size BIGINT, decimal_digits BIGINT,
    is_key BOOLEAN NOT NULL, nullable BOOLEAN NOT NULL, default_value VARCHAR,
    comment VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.labels (
    db VARCHAR NOT NULL, label VARCHAR NOT NULL, txn_id BIGINT NOT NULL, tbl VARCHAR NOT NULL,
    state VARCHAR NOT NULL, kind VARCHAR NOT NULL, total_rows BIGINT NOT NULL,
    filtered_rows BIGINT NOT NULL, loaded_bytes BIGINT NOT NULL, message VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL, finished_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.prepared (
    txn_id BIGINT NOT NULL, part BIGINT NOT NULL, db VARCHAR NOT NULL, tbl VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.users (name VARCHAR NOT NULL, password_hash VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS {SCHEMA}.grants (
    user_name VARCHAR NOT NULL, privilege VARCHAR NOT NULL, db VARCHAR NOT NULL,
    tbl VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.task_runs (
    query_id VARCHAR NOT NULL, task_name VARCHAR NOT NULL, db VARCHAR NOT NULL,
    definition VARCHAR NOT NULL, state VARCHAR NOT NULL, error_message VARCHAR,
    created_at TIMESTAMP NOT NULL, finished_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.variables (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS {SCHEMA}.repositories (
    id BIGINT NOT NULL, name VARCHAR NOT NULL, location VARCHAR NOT NULL,
    is_read_only BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.snapshot_jobs (
    id BIGINT NOT NULL, kind VARCHAR NOT NULL, db VARCHAR NOT NULL, label VARCHAR NOT NULL,
    repository VARCHAR NOT NULL, stamp VARCHAR NOT NULL, state VARCHAR NOT NULL,
    objects VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, finished_at TIMESTAMP NOT NULL,
    message VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.roles (name VARCHAR NOT NULL, comment VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS {SCHEMA}.memberships (
    role_name VARCHAR NOT NULL, member_kind VARCHAR NOT NULL, member VARCHAR NOT NULL,
    is_default BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.tasks (
    name VARCHAR NOT NULL, db VARCHAR NOT NULL, definition VARCHAR NOT NULL,
    starts_at TIMESTAMP NOT NULL, every_seconds BIGINT NOT NULL, owner VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);
"""
# What the first layout had not; a file of it gets these columns when it is opened.
_SINCE_2 = f"""
ALTER TABLE {SCHEMA}.columns ADD COLUMN IF NOT EXISTS extra VARCHAR DEFAULT '{{}}';
ALTER TABLE {SCHEMA}.relations ADD COLUMN IF NOT EXISTS refreshed_at TIMESTAMP;
ALTER TABLE {SCHEMA}.prepared ADD COLUMN IF NOT EXISTS merge VARCHAR;
ALTER TABLE {SCHEMA}.users ADD COLUMN IF NOT EXISTS max_connections BIGINT DEFAULT 1024;
ALTER TABLE {SCHEMA}.grants ADD COLUMN IF NOT EXISTS grantee_kind VARCHAR DEFAULT 'USER';
ALTER TABLE {SCHEMA}.grants ADD COLUMN IF NOT EXISTS object_kind VARCHAR;
ALTER TABLE {SCHEMA}.grants ADD COLUMN IF NOT EXISTS grantable BOOLEAN DEFAULT false;
UPDATE {SCHEMA}.grants SET object_kind =
    CASE WHEN privilege LIKE 'CREATE%' THEN 'DATABASE' ELSE 'TABLE' END WHERE object_kind IS NULL;
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table or view."""

    name: str
    type: ColumnType
    nullable: bool = True
    default: str | None = None
    comment: str = ""
    # How values of a key are merged (AGGREGATE KEY), as SUM or REPLACE_IF_NOT_NULL.
    aggregate: str = ""
    # The expression of a generated column, in StarRocks' SQL.
    generated: str = ""
    auto_increment: bool = False

    @property
    def extra(self) -> str:
        """The rarer properties, as they are stored."""
        values = {
            "aggregate": self.aggregate,
            "generated": self.generated,
            "auto_increment": self.auto_increment,
        }
        return json.dumps({name: value for name, value in values.items() if value})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relation:
    """A table, view or materialized view with everything StarRocks knows about it.

    `kind` is TABLE, VIEW or MATERIALIZED VIEW; `key_model` is DUPLICATE, PRIMARY, UNIQUE,
    AGGREGATE or "" (views).
    The clauses are canonical StarRocks SQL, as SHOW CREATE TABLE prints them.
    """

    db: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    key_model: str = ""
    keys: tuple[str, ...] = ()
    comment: str = ""
    partition_by: str = ""
    distributed_by: str = ""
    order_by: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    definition: str = ""
    refresh: str = ""
    is_active: bool = True
    id: int = 0
    refreshed_at: datetime.datetime | None = None
    # Of RANGE and LIST only; the others come with the rows (see `sql/partitions.py`).
    partitions: tuple[Partition, ...] = ()

    def column(self, name: str) -> Column | None:
        wanted = name.lower()
        for column in self.columns:
            if column.name.lower() == wanted:
                return column
        return None

    @property
    def has_rows(self) -> bool:
        return self.kind != "VIEW"


@dataclasses.dataclass(frozen=True)
class Catalog:
    """A picture of all metadata after some commit; sessions plan against it without locks."""

    databases: tuple[str, ...]
    relations: dict[tuple[str, str], Relation]
    rights: Rights

    def database(self, name: str) -> str | None:
        """The name as it was created; names are compared without case (DuckDB's rule)."""
        wanted = name.lower()
        return next((known for known in self.databases if known.lower() == wanted), None)

    def relation(self, db: str, name: str) -> Relation | None:
        return self.relations.get((db.lower(), name.lower()))

    def in_database(self, db: str) -> list[Relation]:
        wanted = db.lower()
        found = [relation for (key, _), relation in self.relations.items() if key == wanted]
        return sorted(found, key=lambda relation: relation.name)


def same_shape(now: Relation, planned: Relation) -> bool:
    """Whether rows that were checked for a table as it was planned still fit it."""
    kept = {each.id for each in planned.partitions} <= {each.id for each in now.partitions}
    return now.id == planned.id and now.columns == planned.columns and kept


def create_metadata(connection: duckdb.DuckDBPyConnection) -> int:
    """Make the tables of an empty file, or bring those of an older one up to this layout.

    The version that the file had; of layouts before 3 RANGE and LIST partitions are still to read.
    """
    connection.execute(_TABLES + partitions.TABLE)
    row = connection.execute(f"SELECT version FROM {SCHEMA}.layout").fetchone()
    if row is not None and row[0] > LAYOUT_VERSION:
        raise ValueError(
            f"metadata layout {row[0]}, this program reads up to {LAYOUT_VERSION}; "
            "use the release that wrote it"
        )
    connection.execute(_SINCE_2)
    if row is None or row[0] < LAYOUT_VERSION:
        connection.execute(f"DELETE FROM {SCHEMA}.layout")
        connection.execute(f"INSERT INTO {SCHEMA}.layout VALUES ({LAYOUT_VERSION})")
    return LAYOUT_VERSION if row is None else int(row[0])


def parse_type(text: str) -> ColumnType:
    """A type as `ColumnType.shown` wrote it."""
    if text in ("bitmap", "hll"):
        return ColumnType(text.upper())
    return from_sqlglot(exp.DataType.build(text, dialect="starrocks"))


def read_catalog(connection: duckdb.DuckDBPyConnection) -> Catalog:
    """All metadata in one pass; a few thousand rows at most."""
    databases = connection.execute(f"SELECT name FROM {SCHEMA}.databases ORDER BY name").fetchall()
    columns: dict[int, list[Column]] = {}
    for relation_id, name, kind, nullable, default, comment, extra in connection.execute(
        f"SELECT relation_id, name, type, nullable, default_value, comment, extra "
        f"FROM {SCHEMA}.columns ORDER BY relation_id, position"
    ).fetchall():
        columns.setdefault(relation_id, []).append(
            Column(
                name=name,
                type=_cached_type(kind),
                nullable=nullable,
                default=default,
                comment=comment,
                **json.loads(extra),
            )
        )
    known = partitions.read_partitions(connection)
    relations = {}
    for row in connection.execute(f"SELECT * FROM {SCHEMA}.relations").fetchall():
        relation = _relation(row, tuple(columns.get(row[0], ())), known.get(row[0], ()))
        relations[relation.db.lower(), relation.name.lower()] = relation
    return Catalog(
        databases=tuple(name for (name,) in databases),
        relations=relations,
        rights=read_rights(connection),
    )


_TYPES: dict[str, ColumnType] = {}


def _cached_type(text: str) -> ColumnType:
    if text not in _TYPES:
        _TYPES[text] = parse_type(text)
    return _TYPES[text]


def _relation(
    row: tuple[Any, ...], columns: tuple[Column, ...], found: tuple[Partition, ...]
) -> Relation:
    return Relation(
        id=row[0],
        db=row[1],
        name=row[2],
        kind=row[3],
        key_model=row[4],
        keys=tuple(json.loads(row[5])),
        comment=row[6],
        partition_by=row[7],
        distributed_by=row[8],
        order_by=row[9],
        properties=tuple(sorted(json.loads(row[10]).items())),
        definition=row[11],
        refresh=row[12],
        is_active=row[13],
        refreshed_at=row[16],
        columns=columns,
        partitions=found,
    )


def insert_relation(connection: duckdb.DuckDBPyConnection, relation: Relation) -> Relation:
    """Write one relation with its columns; the relation with its new id."""
    ((new_id,),) = connection.execute(f"SELECT nextval('{SCHEMA}.object_ids')").fetchall()
    connection.execute(
        f"INSERT INTO {SCHEMA}.relations VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "now()::TIMESTAMP, now()::TIMESTAMP, now()::TIMESTAMP)",
        [
            new_id,
            relation.db,
            relation.name,
            relation.kind,
            relation.key_model,
            json.dumps(relation.keys),
            relation.comment,
            relation.partition_by,
            relation.distributed_by,
            relation.order_by,
            json.dumps(dict(relation.properties)),
            relation.definition,
            relation.refresh,
            relation.is_active,
        ],
    )
    insert_columns(connection, new_id, relation.columns, relation.keys)
    fresh = tuple(dataclasses.replace(each, id=0) for each in relation.partitions)
    partitions.replace_partitions(connection, new_id, fresh)
    return dataclasses.replace(relation, id=new_id)


def insert_columns(
    connection: duckdb.DuckDBPyConnection,
    relation_id: int,
    columns: tuple[Column, ...],
    keys: tuple[str, ...],
) -> None:
    """Replace the columns of a relation."""
    connection.execute(f"DELETE FROM {SCHEMA}.columns WHERE relation_id = ?", [relation_id])
    connection.executemany(
        f"INSERT INTO {SCHEMA}.columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            [
                relation_id,
                position,
                column.name,
                column.type.shown(),
                column.type.data_type,
                column.type.column_size,
                column.type.decimal_digits,
                column.name in keys,
                column.nullable,
                column.default,
                column.comment,
                column.extra,
            ]
            for position, column in enumerate(columns, start=1)
        ],
    )


def delete_relation(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    partitions.delete_partitions(connection, relation.id)
    connection.execute(f"DELETE FROM {SCHEMA}.columns WHERE relation_id = ?", [relation.id])
    connection.execute(f"DELETE FROM {SCHEMA}.relations WHERE id = ?", [relation.id])


def update_relation(
    connection: duckdb.DuckDBPyConnection, relation: Relation, **changes: str | bool
) -> None:
    """Change named fields of one relation's row."""
    sets = ", ".join(f"{name} = ?" for name in changes)
    connection.execute(
        f"UPDATE {SCHEMA}.relations SET {sets}, updated_at = now()::TIMESTAMP WHERE id = ?",
        [*changes.values(), relation.id],
    )


def note_refresh(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    connection.execute(
        f"UPDATE {SCHEMA}.relations SET refreshed_at = now()::TIMESTAMP WHERE id = ?",
        [relation.id],
    )


_PLAIN_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_$-]{0,1022}$")


def is_valid_name(name: str) -> bool:
    """StarRocks' rule for names of databases, tables and columns (ASCII part of it)."""
    return bool(_PLAIN_NAME.match(name)) and not name.startswith("__starrocks")


def quoted(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(db: str, name: str) -> str:
    return f"{quoted(db)}.{quoted(name)}"
