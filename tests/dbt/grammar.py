"""What the embedded StarRocks lets pass and StarRocks' own parser does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp

from emdata.contracts import contracts
from emdata.derive.starrocks import raw_table_ddl
from flink_jobs.windows import window_table_ddl, window_tables, window_view_ddl
from tests.dbt.conftest import JOB_HASH, World

# https://docs.starrocks.io/docs/sql-reference/sql-statements/keywords/
RESERVED = """
ADD ALL ALTER ANALYZE AND ARRAY AS ASC BETWEEN BIGINT BITMAP BOTH BY CASE CHAR CHARACTER CHECK
COLLATE COLUMN COMPACTION CONVERT CREATE CROSS CUBE CURRENT_DATE CURRENT_ROLE CURRENT_TIME
CURRENT_TIMESTAMP CURRENT_USER DATABASE DATABASES DECIMAL DECIMALV2 DECIMAL32 DECIMAL64
DECIMAL128 DEFAULT DEFERRED DELETE DENSE_RANK DESC DESCRIBE DISTINCT DOUBLE DROP DUAL ELSE
EXCEPT EXCLUDE EXISTS EXPLAIN FALSE FIRST_VALUE FLOAT FOR FORCE FROM FULL FUNCTION GRANT GROUP
GROUPS GROUPING GROUPING_ID HAVING HLL HOST IF IGNORE IMMEDIATE IN INDEX INFILE INNER INSERT
INT INTEGER INTERSECT INTO IS JOIN JSON KEY KEYS KILL LAG LARGEINT LAST_VALUE LATERAL LEAD LEFT
LIKE LIMIT LOAD LOCALTIME LOCALTIMESTAMP MAXVALUE MINUS MOD NTILE NOT NULL ON OR ORDER OUTER
OUTFILE OVER PARTITION PERCENTILE PRIMARY PROCEDURE QUALIFY RANGE RANK READ REGEXP RELEASE
RENAME REPLACE REVOKE RIGHT RLIKE ROW ROWS ROW_NUMBER SCHEMA SCHEMAS SELECT SET SET_VAR SHOW
SMALLINT SYSTEM TABLE TERMINATED TEXT THEN TINYINT TO TRUE UNION UNIQUE UNSIGNED UPDATE USE
USING VALUES VARCHAR WHEN WHERE WITH
"""
_KEYS = re.compile(r"(?:DUPLICATE|PRIMARY|UNIQUE) KEY \(([^)]*)\)")


def statements(world: World) -> Iterator[tuple[str, str]]:
    """All DDL of the project and all that dbt has run, with names."""
    for record in contracts().values():
        yield record.dataset.name, raw_table_ddl(record)
    for table in window_tables():
        yield table.name, window_table_ddl(table, JOB_HASH)
        yield f"view {table.name}", window_view_ddl(table, JOB_HASH)
    for path in sorted((world.project.target / "run").rglob("*.sql")):
        # What dbt writes for a seed is a page of INSERTs.
        if "seeds" not in path.parts:
            yield _name(path), path.read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:])


def reserved_names(text: str) -> tuple[int, set[str]]:
    """How many statements a text holds, and their names that need backticks and have none."""
    reserved = frozenset(RESERVED.split())
    trees = [tree for tree in sqlglot.parse(text, dialect="starrocks") if tree is not None]
    assert not any(isinstance(tree, exp.Command) for tree in trees), "not understood"
    return len(trees), {
        each.name
        for tree in trees
        for each in tree.find_all(exp.Identifier)
        if not each.quoted and each.name.upper() in reserved
    }


def keys_and_columns(text: str) -> tuple[list[str], list[str]]:
    """Key columns of a CREATE TABLE AS, and as many of its query's first; empty for others."""
    head, _, query = text.partition("\n  as ")
    keys = _KEYS.search(head)
    if keys is None or not query:
        return [], []
    names = [key.strip(" `") for key in keys.group(1).split(",")]
    return names, sqlglot.parse_one(query, dialect="starrocks").named_selects[: len(names)]
