"""information_schema as StarRocks shows it: views over the metadata tables.

Source: StarRocks 3.5 documentation, "Information Schema".
"""

from __future__ import annotations

import duckdb

SCHEMA = "__starrocks_is"
# Made anew for each query: partitions by expressions come with the rows.
PARTITIONS_META = "partitions_meta"
_META = "__starrocks"

_VIEWS = {
    "schemata": f"""
SELECT 'def' AS "CATALOG_NAME", name AS "SCHEMA_NAME", 'utf8' AS "DEFAULT_CHARACTER_SET_NAME",
    'utf8_general_ci' AS "DEFAULT_COLLATION_NAME", NULL::VARCHAR AS "SQL_PATH"
FROM (SELECT name FROM {_META}.databases UNION ALL SELECT 'information_schema')""",
    "tables": f"""
SELECT 'def' AS "TABLE_CATALOG", r.db AS "TABLE_SCHEMA", r.name AS "TABLE_NAME",
    CASE r.kind WHEN 'TABLE' THEN 'BASE TABLE' ELSE 'VIEW' END AS "TABLE_TYPE",
    CASE r.kind WHEN 'VIEW' THEN '' ELSE 'StarRocks' END AS "ENGINE",
    NULL::BIGINT AS "VERSION", NULL::VARCHAR AS "ROW_FORMAT",
    t.estimated_size AS "TABLE_ROWS", NULL::BIGINT AS "AVG_ROW_LENGTH",
    NULL::BIGINT AS "DATA_LENGTH", NULL::BIGINT AS "MAX_DATA_LENGTH",
    NULL::BIGINT AS "INDEX_LENGTH", NULL::BIGINT AS "DATA_FREE", NULL::BIGINT AS "AUTO_INCREMENT",
    date_trunc('second', r.created_at) AS "CREATE_TIME",
    date_trunc('second', r.updated_at) AS "UPDATE_TIME", NULL::TIMESTAMP AS "CHECK_TIME",
    'utf8_general_ci' AS "TABLE_COLLATION", NULL::BIGINT AS "CHECKSUM",
    NULL::VARCHAR AS "CREATE_OPTIONS", r.comment AS "TABLE_COMMENT"
FROM {_META}.relations r LEFT JOIN duckdb_tables() t
    ON t.schema_name = r.db AND t.table_name = r.name AND NOT t.temporary""",
    "columns": f"""
SELECT 'def' AS "TABLE_CATALOG", r.db AS "TABLE_SCHEMA", r.name AS "TABLE_NAME",
    c.name AS "COLUMN_NAME", c.position AS "ORDINAL_POSITION",
    c.default_value AS "COLUMN_DEFAULT",
    CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS "IS_NULLABLE",
    c.data_type AS "DATA_TYPE",
    CASE WHEN c.data_type IN ('varchar', 'char') THEN c.column_size END
        AS "CHARACTER_MAXIMUM_LENGTH",
    NULL::BIGINT AS "CHARACTER_OCTET_LENGTH",
    CASE WHEN c.data_type NOT IN ('varchar', 'char') THEN c.column_size END AS "NUMERIC_PRECISION",
    c.decimal_digits AS "NUMERIC_SCALE", NULL::BIGINT AS "DATETIME_PRECISION",
    NULL::VARCHAR AS "CHARACTER_SET_NAME", NULL::VARCHAR AS "COLLATION_NAME",
    c.type AS "COLUMN_TYPE",
    CASE WHEN NOT c.is_key THEN '' ELSE
        CASE r.key_model WHEN 'PRIMARY' THEN 'PRI' WHEN 'UNIQUE' THEN 'UNI'
        WHEN 'AGGREGATE' THEN 'AGG' ELSE 'DUP' END END
        AS "COLUMN_KEY",
    '' AS "EXTRA", '' AS "PRIVILEGES", c.comment AS "COLUMN_COMMENT",
    c.column_size AS "COLUMN_SIZE", c.decimal_digits AS "DECIMAL_DIGITS",
    NULL::VARCHAR AS "GENERATION_EXPRESSION", NULL::BIGINT AS "SRS_ID"
FROM {_META}.columns c JOIN {_META}.relations r ON r.id = c.relation_id""",
    "views": f"""
SELECT 'def' AS "TABLE_CATALOG", db AS "TABLE_SCHEMA", name AS "TABLE_NAME",
    definition AS "VIEW_DEFINITION", 'NONE' AS "CHECK_OPTION", 'NO' AS "IS_UPDATABLE",
    'root' AS "DEFINER", 'INVOKER' AS "SECURITY_TYPE", 'utf8' AS "CHARACTER_SET_CLIENT",
    'utf8_general_ci' AS "COLLATION_CONNECTION"
FROM {_META}.relations WHERE kind = 'VIEW'""",
    "materialized_views": f"""
SELECT r.id AS "MATERIALIZED_VIEW_ID", r.db AS "TABLE_SCHEMA", r.name AS "TABLE_NAME",
    r.refresh AS "REFRESH_TYPE", CASE WHEN r.is_active THEN 'true' ELSE 'false' END AS "IS_ACTIVE",
    NULL::VARCHAR AS "INACTIVE_REASON", r.partition_by AS "PARTITION_TYPE",
    t.estimated_size AS "TABLE_ROWS",
    'CREATE MATERIALIZED VIEW `' || r.name || '` (' || (SELECT string_agg('`' || name || '`', ', '
        ORDER BY position) FROM {_META}.columns WHERE relation_id = r.id) || ')'
        || CASE WHEN r.distributed_by <> '' AND r.refresh <> 'SYNC'
            THEN chr(10) || 'DISTRIBUTED BY ' || r.distributed_by ELSE '' END
        || CASE WHEN r.refresh <> 'SYNC' THEN chr(10) || 'REFRESH ' || r.refresh ELSE '' END
        || chr(10) || 'AS ' || r.definition || ';' AS "MATERIALIZED_VIEW_DEFINITION",
    CASE WHEN r.refresh <> 'SYNC' THEN date_trunc('second', r.refreshed_at) END
        AS "LAST_REFRESH_FINISHED_TIME",
    (SELECT max_by(state, created_at) FROM {_META}.task_runs
        WHERE task_name = 'mv-' || r.id::VARCHAR) AS "LAST_REFRESH_STATE",
    'mv-' || r.id::VARCHAR AS "TASK_NAME"
FROM {_META}.relations r LEFT JOIN duckdb_tables() t
    ON t.schema_name = r.db AND t.table_name = r.name AND NOT t.temporary
WHERE r.kind = 'MATERIALIZED VIEW'""",
    "tables_config": f"""
SELECT db AS "TABLE_SCHEMA", name AS "TABLE_NAME", 'OLAP' AS "TABLE_ENGINE",
    CASE key_model WHEN 'PRIMARY' THEN 'PRIMARY_KEYS' WHEN 'UNIQUE' THEN 'UNIQUE_KEYS'
        WHEN 'AGGREGATE' THEN 'AGG_KEYS' ELSE 'DUP_KEYS' END AS "TABLE_MODEL",
    CASE WHEN key_model IN ('PRIMARY', 'UNIQUE') THEN '`' || array_to_string(
        CAST(CAST(key_columns AS JSON) AS VARCHAR[]), '`, `') || '`' ELSE '' END AS "PRIMARY_KEY",
    partition_by AS "PARTITION_KEY",
    regexp_extract(distributed_by, '^HASH *\\((.*)\\)', 1) AS "DISTRIBUTE_KEY",
    regexp_extract(distributed_by, '^[A-Z]+') AS "DISTRIBUTE_TYPE",
    CAST(coalesce(nullif(regexp_extract(distributed_by, 'BUCKETS +([0-9]+)', 1), ''), '0') AS INT)
        AS "DISTRIBUTE_BUCKET",
    order_by AS "SORT_KEY", properties AS "PROPERTIES", id AS "TABLE_ID"
FROM {_META}.relations WHERE kind <> 'VIEW'""",
    "loads": f"""
SELECT txn_id AS "ID", label AS "LABEL", db AS "DB_NAME", tbl AS "TABLE_NAME", 'root' AS "USER",
    CASE state WHEN 'VISIBLE' THEN 'FINISHED' WHEN 'ABORTED' THEN 'CANCELLED' ELSE state END
        AS "STATE",
    kind AS "TYPE", total_rows AS "SCAN_ROWS", filtered_rows AS "FILTERED_ROWS",
    CASE WHEN state = 'VISIBLE' THEN total_rows - filtered_rows ELSE 0 END AS "SINK_ROWS",
    loaded_bytes AS "SCAN_BYTES", message AS "ERROR_MSG", created_at AS "CREATE_TIME",
    finished_at AS "LOAD_FINISH_TIME"
FROM {_META}.labels""",
    "tasks": f"""
SELECT name AS "TASK_NAME", created_at AS "CREATE_TIME",
    'PERIODICAL START(' || CAST(starts_at AS VARCHAR) || ') EVERY(' || every_seconds::VARCHAR
        || ' SECONDS)' AS "SCHEDULE",
    'default_catalog' AS "CATALOG", db AS "DATABASE", definition AS "DEFINITION",
    NULL::TIMESTAMP AS "EXPIRE_TIME", '' AS "PROPERTIES", owner AS "CREATOR"
FROM {_META}.tasks""",
    "task_runs": f"""
SELECT query_id AS "QUERY_ID", task_name AS "TASK_NAME", created_at AS "CREATE_TIME",
    finished_at AS "FINISH_TIME", state AS "STATE", NULL::VARCHAR AS "CATALOG", db AS "DATABASE",
    definition AS "DEFINITION", NULL::TIMESTAMP AS "EXPIRE_TIME",
    CASE WHEN error_message IS NULL THEN 0 ELSE -1 END AS "ERROR_CODE",
    error_message AS "ERROR_MESSAGE",
    CASE WHEN finished_at IS NULL THEN '0%' ELSE '100%' END AS "PROGRESS"
FROM {_META}.task_runs""",
}
_EMPTY = {
    "engines": ("ENGINE", "SUPPORT", "COMMENT"),
    "character_sets": ("CHARACTER_SET_NAME", "DEFAULT_COLLATE_NAME", "DESCRIPTION", "MAXLEN"),
    "key_column_usage": (
        "CONSTRAINT_CATALOG",
        "CONSTRAINT_SCHEMA",
        "CONSTRAINT_NAME",
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "COLUMN_NAME",
        "ORDINAL_POSITION",
    ),
    "referential_constraints": ("CONSTRAINT_SCHEMA", "CONSTRAINT_NAME", "TABLE_NAME"),
    "statistics": ("TABLE_SCHEMA", "TABLE_NAME", "NON_UNIQUE", "INDEX_NAME", "COLUMN_NAME"),
    "table_constraints": ("CONSTRAINT_SCHEMA", "CONSTRAINT_NAME", "TABLE_NAME", "CONSTRAINT_TYPE"),
    "triggers": ("TRIGGER_SCHEMA", "TRIGGER_NAME", "EVENT_OBJECT_TABLE"),
    "routines": ("ROUTINE_SCHEMA", "ROUTINE_NAME", "ROUTINE_TYPE"),
    "events": ("EVENT_SCHEMA", "EVENT_NAME"),
}


# The columns that say which table a row is about.
_ABOUT_TABLE = {
    "tables": ("TABLE_SCHEMA", "TABLE_NAME"),
    "columns": ("TABLE_SCHEMA", "TABLE_NAME"),
    "views": ("TABLE_SCHEMA", "TABLE_NAME"),
    "materialized_views": ("TABLE_SCHEMA", "TABLE_NAME"),
    "tables_config": ("TABLE_SCHEMA", "TABLE_NAME"),
    "loads": ("DB_NAME", "TABLE_NAME"),
}


def visible_query(name: str, visible: frozenset[tuple[str, str]]) -> str:
    """DuckDB SQL of a view's rows about the visible tables and their databases."""
    view = f'SELECT * FROM {SCHEMA}."{name}"'
    if name == "schemata":
        databases = sorted({"information_schema", *(db for db, _ in visible)})
        return f'{view} WHERE "SCHEMA_NAME" IN ({", ".join(map(_literal, databases))})'
    about = _ABOUT_TABLE.get(name)
    if about is None or not visible:
        return f"{view} WHERE false"
    pairs = ", ".join(f"({_literal(db)}, {_literal(table)})" for db, table in sorted(visible))
    return f'{view} WHERE ("{about[0]}", "{about[1]}") IN ({pairs})'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def view_names() -> list[str]:
    return sorted([*_VIEWS, *_EMPTY, PARTITIONS_META])


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """(Re)make the views; they hold no data."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for name, query in _VIEWS.items():
        connection.execute(f'CREATE OR REPLACE VIEW {SCHEMA}."{name}" AS {query}')
    for name, columns in _EMPTY.items():
        fields = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in columns)
        connection.execute(
            f'CREATE OR REPLACE VIEW {SCHEMA}."{name}" AS SELECT {fields} WHERE false'
        )
