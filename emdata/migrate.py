"""Comparing contracts with the warehouse and saying what must change.

Only two changes are made by themselves: a missing table is created, and a nullable field that a
contract gained is added. Anything else is a new dataset (``..._v2``) and is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emdata.contracts.base import Record
from emdata.derive.starrocks import RAW_DATABASE, add_column_ddl, raw_table, raw_table_ddl
from emdata.derive.types import columns_of
from emdata.errors import ContractError
from emdata.warehouse import Warehouse

# How a server may spell a type of ours in information_schema.
_SPELLINGS = {"int(11)": "int", "bigint(20)": "bigint", "tinyint(4)": "tinyint"}
_SPELLINGS |= {"tinyint(1)": "boolean", "bool": "boolean", "string": "varchar"}
_SPELLINGS |= {"double precision": "double", "timestamp": "datetime"}
_LENGTH = re.compile(r"\((\d+)\)$")


@dataclass(frozen=True, slots=True)
class Change:
    """One statement to run and why."""

    table: str
    why: str
    statement: str


def plan_changes(
    records: Iterable[type[Record]], found: Mapping[str, Mapping[str, str]], *, replication: int = 1
) -> list[Change]:
    """Return the changes that bring the server to the contracts.

    ``found`` maps table name to its columns' types in lower case. Raises ContractError for a
    difference that no additive change can mend.
    """
    changes: list[Change] = []
    for record in records:
        table = record.dataset.name
        if table not in found:
            statement = raw_table_ddl(record, replication=replication)
            changes.append(Change(raw_table(record), "new dataset", statement))
            continue
        changes.extend(_table_changes(record, found[table]))
    return changes


def read_tables(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """Return the columns of every raw table by table name, types in lower case."""
    rows = warehouse.query(
        "SELECT TABLE_NAME AS t, COLUMN_NAME AS c, COLUMN_TYPE AS k"
        " FROM information_schema.columns WHERE TABLE_SCHEMA = %s",
        (RAW_DATABASE,),
    )
    tables: dict[str, dict[str, str]] = {}
    for row in rows:
        tables.setdefault(row["t"], {})[row["c"]] = str(row["k"]).lower()
    return tables


def database_statements(databases: Iterable[str]) -> list[str]:
    """Return the statements that make the databases."""
    return [f"CREATE DATABASE IF NOT EXISTS {name}" for name in databases]


def _table_changes(record: type[Record], columns: Mapping[str, str]) -> list[Change]:
    changes = []
    for column in columns_of(record):
        if column.name not in columns:
            if not column.nullable:
                raise ContractError(
                    f"{raw_table(record)}.{column.name}",
                    value="a new field that is not nullable",
                    allowed="new fields that are nullable",
                    fix="make it optional, or declare a new dataset with _v2",
                )
            why = f"new field {column.name}"
            changes.append(Change(raw_table(record), why, add_column_ddl(record, column)))
        elif not _same_type(column.types.starrocks, columns[column.name]):
            raise ContractError(
                f"{raw_table(record)}.{column.name}",
                value=columns[column.name],
                allowed=column.types.starrocks.lower(),
                fix="a field's type cannot change; declare a new dataset with _v2",
            )
    return changes


def _same_type(wanted: str, found: str) -> bool:
    return _base(wanted.lower()) == _base(found)


def _base(kind: str) -> str:
    return _SPELLINGS.get(kind, _SPELLINGS.get(_LENGTH.sub("", kind), _LENGTH.sub("", kind)))
