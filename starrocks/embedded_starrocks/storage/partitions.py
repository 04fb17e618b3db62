"""RANGE and LIST partitions of tables: what is kept of them beside the table's own row."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import duckdb

SCHEMA = "__starrocks"
TABLE = f"""
CREATE TABLE IF NOT EXISTS {SCHEMA}.partitions (
    id BIGINT NOT NULL, relation_id BIGINT NOT NULL, name VARCHAR NOT NULL,
    bounds VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL
);
"""
Values = tuple[str | None, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition. Values are canonical texts of the partition columns' types.

    A RANGE partition holds lower <= row < upper, compared column by column; a `lower` of None is
    the smallest value, NULL included; an `upper` of None, or None for one column, is MAXVALUE.
    A LIST partition holds the rows of `listed`; None in it is NULL.
    """

    name: str
    lower: Values | None = None
    upper: Values | None = None
    listed: tuple[Values, ...] = ()
    id: int = 0


def read_partitions(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[Partition, ...]]:
    """The partitions of every table, in the order in which they were stored."""
    found: dict[int, list[Partition]] = {}
    for number, relation_id, name, bounds in connection.execute(
        f"SELECT id, relation_id, name, bounds FROM {SCHEMA}.partitions ORDER BY relation_id, rowid"
    ).fetchall():
        lower, upper, listed = json.loads(bounds)
        found.setdefault(relation_id, []).append(
            Partition(
                id=number,
                name=name,
                lower=None if lower is None else tuple(lower),
                upper=None if upper is None else tuple(upper),
                listed=tuple(tuple(each) for each in listed),
            )
        )
    return {relation_id: tuple(each) for relation_id, each in found.items()}


def replace_partitions(
    connection: duckdb.DuckDBPyConnection, relation_id: int, partitions: Iterable[Partition]
) -> None:
    """Write a table's partitions; those with an id keep it and their time of creation."""
    known = connection.execute(
        f"DELETE FROM {SCHEMA}.partitions WHERE relation_id = ? RETURNING id, created_at",
        [relation_id],
    ).fetchall()
    created = dict(known)
    for partition in partitions:
        bounds = json.dumps([partition.lower, partition.upper, partition.listed])
        connection.execute(
            f"INSERT INTO {SCHEMA}.partitions VALUES (CASE WHEN ? = 0 "
            f"THEN nextval('{SCHEMA}.object_ids') ELSE ? END, ?, ?, ?, "
            "coalesce(?, now()::TIMESTAMP))",
            [
                partition.id,
                partition.id,
                relation_id,
                partition.name,
                bounds,
                created.get(partition.id),
            ],
        )


def delete_partitions(connection: duckdb.DuckDBPyConnection, relation_id: int) -> None:
    connection.execute(f"DELETE FROM {SCHEMA}.partitions WHERE relation_id = ?", [relation_id])
