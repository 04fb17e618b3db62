"""Physical tables in DuckDB, and rows into them by the rules of their key model.

Source: StarRocks 3.5 documentation, "Table types" and "Change data through loading".
"""

from __future__ import annotations

import dataclasses

import duckdb

from embedded_starrocks.sql.values import default_value
from embedded_starrocks.storage.metadata import SCHEMA, Column, Relation, qualified, quoted

STAGE = "__stage"
ROW_NUMBER = "__row"
OPERATION = "__op"
_MERGED = "__merged"
_NUMBERED = "__numbered"
# A table of one of these models holds each key once.
KEYED = ("PRIMARY", "UNIQUE", "AGGREGATE")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merge:
    """How staged rows meet what is stored.

    `columns` are the ones that were given, when the others keep their values (partial update);
    `condition` is a column whose value must not go down (conditional update). `has_repeats` is
    False when each staged key is known to be there once, and nothing was filtered.
    """

    has_operation: bool = False
    has_repeats: bool = True
    columns: tuple[str, ...] = ()
    condition: str = ""


PLAIN = Merge()


def column_sql(column: Column) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {column.type.duckdb()}{null}"


def create_table(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """The physical table, with the counter of its AUTO_INCREMENT column if it has one."""
    columns = ", ".join(column_sql(column) for column in relation.columns)
    target = qualified(relation.db, relation.name)
    connection.execute(f"CREATE TABLE {target} ({columns})")


def counter(relation: Relation) -> str:
    """The sequence behind an AUTO_INCREMENT column."""
    return f"{SCHEMA}.counter_{relation.id}"


def create_counter(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    if any(column.auto_increment for column in relation.columns):
        connection.execute(f"CREATE SEQUENCE {counter(relation)}")


def drop_counter(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    connection.execute(f"DROP SEQUENCE IF EXISTS {counter(relation)}")


def drop_stage(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"DROP TABLE IF EXISTS temp.{STAGE}")


def apply_stage(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    stage: str = STAGE,
    merge: Merge = PLAIN,
) -> None:
    """Move the rows of a stage table into a table.

    The stage has the table's columns, `__row` (order of arrival; where keys may be there twice or
    are aggregated) and, when said, `__op` (0 upsert, 1 delete). In PRIMARY and UNIQUE KEY tables
    the last row of a key wins, within the stage and over what is stored; in AGGREGATE KEY tables
    the values of a key are merged column by column.
    There is no index: DuckDB's join with zone maps is as fast and the file stays smaller.
    """
    stage = _numbered(connection, relation, stage)
    if relation.key_model == "AGGREGATE":
        _aggregate(connection, relation, stage)
    elif relation.key_model not in KEYED:
        _append(connection, relation, stage)
    elif merge.columns or merge.condition:
        _merge(connection, relation, stage, merge)
    else:
        _upsert(connection, relation, stage, merge)


def _names(relation: Relation) -> str:
    return ", ".join(quoted(column.name) for column in relation.columns)


def _numbered(connection: duckdb.DuckDBPyConnection, relation: Relation, stage: str) -> str:
    """The stage with the next numbers where an AUTO_INCREMENT column has none; itself without."""
    counted = [column for column in relation.columns if column.auto_increment]
    if not counted:
        return stage
    name = quoted(counted[0].name)
    connection.execute(f"DROP TABLE IF EXISTS temp.{_NUMBERED}")
    connection.execute(
        f"CREATE TEMP TABLE {_NUMBERED} AS SELECT * "
        f"REPLACE (coalesce({name}, nextval('{counter(relation)}')) AS {name}) FROM {stage}"
    )
    return f"temp.{_NUMBERED}"


def same_key(relation: Relation, left: str, right: str) -> str:
    """SQL of "both rows have the same key"; only PRIMARY keys are never NULL."""
    equal = "=" if relation.key_model == "PRIMARY" else "IS NOT DISTINCT FROM"
    return " AND ".join(
        f"{left}.{quoted(key)} {equal} {right}.{quoted(key)}" for key in relation.keys
    )


def _append(connection: duckdb.DuckDBPyConnection, relation: Relation, stage: str) -> None:
    target = qualified(relation.db, relation.name)
    connection.execute(
        f"INSERT INTO {target} ({_names(relation)}) SELECT {_names(relation)} FROM {stage}"
    )


def _last(relation: Relation, stage: str, merge: Merge) -> str:
    """The stage with one row a key: the last, or the last of the highest condition."""
    if not merge.has_repeats:
        return stage
    keys = ", ".join(quoted(key) for key in relation.keys)
    order = f"{ROW_NUMBER} DESC"
    if merge.condition:
        order = f"{quoted(merge.condition)} DESC NULLS LAST, {order}"
    return f"(FROM {stage} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1)"


def _upsert(
    connection: duckdb.DuckDBPyConnection, relation: Relation, stage: str, merge: Merge
) -> None:
    target = qualified(relation.db, relation.name)
    same = same_key(relation, "t", "s")
    connection.execute(f"DELETE FROM {target} AS t USING {stage} AS s WHERE {same}")
    kept = f" WHERE {OPERATION} = 0" if merge.has_operation else ""
    connection.execute(
        f"INSERT INTO {target} ({_names(relation)}) "
        f"SELECT {_names(relation)} FROM {_last(relation, stage, merge)} AS s{kept}"
    )


def _merge(
    connection: duckdb.DuckDBPyConnection, relation: Relation, stage: str, merge: Merge
) -> None:
    """Partial and conditional update: the new rows are made beside the table, then put in."""
    target = qualified(relation.db, relation.name)
    same = same_key(relation, "t", "s")
    first_key = quoted(relation.keys[0])
    given = {*merge.columns} if merge.columns else {column.name for column in relation.columns}
    outputs = []
    for column in relation.columns:
        name = quoted(column.name)
        value = f"s.{name}"
        if column.name not in given:
            value = (
                f"CASE WHEN t.{first_key} IS NULL THEN {default_value(column)} ELSE t.{name} END"
            )
        outputs.append(f"{value} AS {name}")
    operation = f"s.{OPERATION}" if merge.has_operation else "0"
    condition = ""
    if merge.condition:
        name = quoted(merge.condition)
        condition = f" WHERE t.{name} IS NULL OR s.{name} >= t.{name}"
    connection.execute(f"DROP TABLE IF EXISTS temp.{_MERGED}")
    connection.execute(
        f"CREATE TEMP TABLE {_MERGED} AS SELECT {', '.join(outputs)}, {operation} AS {OPERATION} "
        f"FROM {_last(relation, stage, merge)} AS s LEFT JOIN {target} AS t ON {same}{condition}"
    )
    connection.execute(f"DELETE FROM {target} AS t USING temp.{_MERGED} AS s WHERE {same}")
    connection.execute(
        f"INSERT INTO {target} ({_names(relation)}) "
        f"SELECT {_names(relation)} FROM temp.{_MERGED} WHERE {OPERATION} = 0"
    )
    connection.execute(f"DROP TABLE temp.{_MERGED}")


_ORDER = "__order"
_PLAIN_AGGREGATES = {"SUM": "sum", "MAX": "max", "MIN": "min"}


def _aggregated(column: Column) -> str:
    """SQL that merges a value column over the rows of a key, in their order."""
    name = quoted(column.name)
    if column.aggregate in _PLAIN_AGGREGATES:
        value = f"{_PLAIN_AGGREGATES[column.aggregate]}({name})"
    elif column.aggregate in ("BITMAP_UNION", "HLL_UNION"):
        value = f"list_sort(list_distinct(flatten(list({name}))))"
    elif column.aggregate == "REPLACE_IF_NOT_NULL":
        value = f"last({name} ORDER BY {_ORDER}) FILTER ({name} IS NOT NULL)"
    else:
        value = f"last({name} ORDER BY {_ORDER})"
    return f"CAST({value} AS {column.type.duckdb()}) AS {name}"


def _aggregate(connection: duckdb.DuckDBPyConnection, relation: Relation, stage: str) -> None:
    target = qualified(relation.db, relation.name)
    names = _names(relation)
    keys = ", ".join(quoted(key) for key in relation.keys)
    outputs = ", ".join(
        quoted(column.name) if column.name in relation.keys else _aggregated(column)
        for column in relation.columns
    )
    same = same_key(relation, "t", "s")
    stored = ", ".join(f"t.{quoted(column.name)}" for column in relation.columns)
    connection.execute(f"DROP TABLE IF EXISTS temp.{_MERGED}")
    connection.execute(
        f"CREATE TEMP TABLE {_MERGED} AS SELECT {outputs} FROM ("
        f"SELECT {stored}, 0 AS {_ORDER} FROM {target} AS t SEMI JOIN {stage} AS s ON {same} "
        f"UNION ALL SELECT {names}, {ROW_NUMBER} FROM {stage}) GROUP BY {keys}"
    )
    connection.execute(f"DELETE FROM {target} AS t USING temp.{_MERGED} AS s WHERE {same}")
    connection.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM temp.{_MERGED}")
    connection.execute(f"DROP TABLE temp.{_MERGED}")


def count_rows(connection: duckdb.DuckDBPyConnection, table: str = STAGE) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)
