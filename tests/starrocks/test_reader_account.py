"""The open API's user: it reads the two databases, and that is all."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from emdata.reader_account import READER, reader_statements
from tests.starrocks.conftest import Statements

PASSWORD = "it's a \\ password"


@pytest.fixture(scope="module", autouse=True)
def _account(sql: Statements) -> None:
    sql("CREATE DATABASE raw; CREATE DATABASE hidden")
    sql("CREATE TABLE raw.t (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("CREATE TABLE hidden.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO raw.t VALUES (1, 1)")
    for _ in range(2):
        for statement in reader_statements(PASSWORD, ("raw", "d")):
            sql(statement)


def test_the_reader_reads_tables_and_views_also_those_made_later(sql: Statements) -> None:
    sql("CREATE TABLE d.later (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)")
    sql("CREATE VIEW d.view_of_later AS SELECT k FROM d.later")
    sql("CREATE MATERIALIZED VIEW d.kept REFRESH MANUAL AS SELECT k FROM raw.t")
    reader = sql.session(READER)
    assert sql("SELECT k FROM raw.t", reader) == [(1,)]
    for table in ("later", "view_of_later", "kept"):
        sql(f"SELECT k FROM d.{table}", reader)
    versions = "SELECT TABLE_NAME FROM information_schema.partitions_meta WHERE DB_NAME = 'raw'"
    assert sql(versions, reader) == [("t",)]
    definitions = "SELECT TABLE_NAME FROM information_schema.views WHERE TABLE_SCHEMA = 'd'"
    assert sql(definitions, reader) == [("view_of_later",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw.t VALUES (2, 2)",
        "INSERT OVERWRITE raw.t VALUES (2, 2)",
        "UPDATE raw.t SET v = 9 WHERE k = 1",
        "DELETE FROM raw.t WHERE k = 1",
        "TRUNCATE TABLE raw.t",
        "DROP TABLE raw.t",
        "ALTER TABLE raw.t ADD COLUMN w INT",
        "CREATE TABLE d.mine (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k)",
        "CREATE VIEW d.mine AS SELECT 1",
        "CREATE DATABASE mine",
        "CREATE USER other IDENTIFIED BY 'p'",
        f"GRANT INSERT ON raw.t TO USER {READER}",
        "SELECT k FROM hidden.t",
        "SET GLOBAL query_timeout = 1",
        "SELECT * FROM FILES('path' = 'file:///etc/passwd', 'format' = 'csv')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('http://127.0.0.1/x.parquet')",
        "SELECT read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/x'",
        "ATTACH '/tmp/x.db' AS x",
        "INSTALL httpfs",
    ],
)
def test_the_reader_neither_writes_nor_reaches_files_or_the_network(
    sql: Statements, statement: str
) -> None:
    with pytest.raises(SqlError):
        sql(statement, sql.session(READER))
    assert sql("SELECT k, v FROM raw.t") == [(1, 1)]


def test_a_task_of_the_reader_has_no_more_rights_than_the_reader(sql: Statements) -> None:
    sql("SUBMIT TASK AS INSERT INTO raw.t VALUES (3, 3)", sql.session(READER))
    assert sql("SELECT k, v FROM raw.t") == [(1, 1)]
    assert sql("SELECT DISTINCT STATE FROM information_schema.task_runs") == [("FAILED",)]
