"""Contract -> StarRocks DDL of its raw table (StarRocks 3.5, primary-key model)."""

from __future__ import annotations

from emdata.contracts.base import Record
from emdata.derive.types import PRIMARY_KEY, Column, columns_of

RAW_DATABASE = "raw_data"


def quote(name: str) -> str:
    """Quote an identifier with backticks."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """Quote a string literal."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def raw_table(record: type[Record]) -> str:
    """Return the qualified name of a contract's raw table."""
    return f"{RAW_DATABASE}.{record.dataset.name}"


def column_ddl(column: Column) -> str:
    """Return one column definition."""
    null = "NULL" if column.nullable else "NOT NULL"
    comment = f" COMMENT {text(column.comment)}" if column.comment else ""
    return f"{quote(column.name)} {column.types.starrocks} {null}{comment}"


def raw_table_ddl(record: type[Record], *, replication: int = 1, buckets: int = 1) -> str:
    """Return CREATE TABLE of a contract's raw table: immutable rows keyed by acceptance.

    Partitioned by the day of acceptance, so that a revised event time never moves a row and the
    number of partitions stays that of days in operation.
    """
    columns = ",\n  ".join(column_ddl(column) for column in columns_of(record))
    key = ", ".join(PRIMARY_KEY)
    return (
        f"CREATE TABLE IF NOT EXISTS {raw_table(record)} (\n  {columns}\n)\n"
        f"PRIMARY KEY ({key})\n"
        f"COMMENT {text(record.dataset.title)}\n"
        f"PARTITION BY date_trunc('day', accepted_on)\n"
        f"DISTRIBUTED BY HASH(seq) BUCKETS {buckets}\n"
        f'PROPERTIES ("replication_num" = "{replication}")'
    )


def add_column_ddl(record: type[Record], column: Column) -> str:
    """Return ALTER TABLE that adds one nullable column, the only additive change of a contract."""
    return f"ALTER TABLE {raw_table(record)} ADD COLUMN {column_ddl(column)}"
