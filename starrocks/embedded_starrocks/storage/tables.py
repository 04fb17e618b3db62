"""Physical tables in DuckDB, and rows into them by the rules of their key model."""

from __future__ import annotations

import duckdb

from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted

STAGE = "__stage"
ROW_NUMBER = "__row"
OPERATION = "__op"


def column_sql(column: Column) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {column.type.duckdb()}{null}"


def create_table(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    columns = ", ".join(column_sql(column) for column in relation.columns)
    connection.execute(f"CREATE TABLE {qualified(relation.db, relation.name)} ({columns})")


def drop_stage(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"DROP TABLE IF EXISTS temp.{STAGE}")


def apply_stage(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    stage: str = STAGE,
    *,
    has_operation: bool = False,
    has_repeats: bool = True,
) -> None:
    """Move the rows of a stage table into a table.

    The stage has the table's columns, `__row` (order of arrival) and, when said, `__op` (0 upsert,
    1 delete). In a PRIMARY KEY table the last row of a key wins, within the stage (unless it is
    known to have no `has_repeats`) and over what is stored. There is no index: DuckDB's join with
    zone maps is as fast and the file stays smaller.
    """
    target = qualified(relation.db, relation.name)
    names = ", ".join(quoted(column.name) for column in relation.columns)
    if relation.key_model != "PRIMARY":
        connection.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {stage}")
        return
    last = stage
    if has_repeats:
        keys = ", ".join(quoted(key) for key in relation.keys)
        last = f"(FROM {stage} QUALIFY row_number() OVER (PARTITION BY {keys} "
        last += f"ORDER BY {ROW_NUMBER} DESC) = 1)"
    same = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in relation.keys)
    connection.execute(f"DELETE FROM {target} AS t USING {stage} AS s WHERE {same}")
    kept = f" WHERE {OPERATION} = 0" if has_operation else ""
    connection.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {last} AS s{kept}")


def count_rows(connection: duckdb.DuckDBPyConnection, table: str = STAGE) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)
