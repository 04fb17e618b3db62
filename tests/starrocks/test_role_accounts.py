"""StarRocks' users by role: Flink's loader and dbt's transformer."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from emdata.warehouse_accounts import (
    LOADER,
    TRANSFORMER,
    loader_statements,
    transformer_statements,
)
from tests.starrocks.conftest import Statements
from tests.starrocks.running import RunningServer

PASSWORD = "it's a \\ password"
TABLE = "(k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)"


@pytest.fixture(scope="module", autouse=True)
def _accounts(sql: Statements) -> None:
    sql("CREATE DATABASE raw_data; CREATE DATABASE models; CREATE DATABASE hidden")
    for place in ("raw_data.t", "models.t", "hidden.t"):
        sql(f"CREATE TABLE {place} {TABLE}")
        sql(f"INSERT INTO {place} VALUES (1, 1)")
    for _ in range(2):
        for statement in (
            *loader_statements(PASSWORD),
            *transformer_statements(PASSWORD, "models"),
        ):
            sql(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw_data.t VALUES (2, 2)",
        "DELETE FROM raw_data.t WHERE k = 2",
        "SELECT k FROM raw_data.t",
    ],
)
def test_the_loader_writes_landed_tables(sql: Statements, statement: str) -> None:
    sql(statement, sql.session(LOADER))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE raw_data.t",
        "ALTER TABLE raw_data.t ADD COLUMN w INT",
        f"CREATE TABLE raw_data.mine {TABLE}",
        "SELECT k FROM models.t",
        "INSERT INTO models.t VALUES (2, 2)",
        "SELECT k FROM hidden.t",
        "CREATE DATABASE mine",
        "CREATE USER other IDENTIFIED BY 'p'",
    ],
)
def test_the_loader_may_nothing_else(sql: Statements, statement: str) -> None:
    with pytest.raises(SqlError, match="denied"):
        sql(statement, sql.session(LOADER))


def test_the_transformer_owns_the_models_and_reads_what_landed(sql: Statements) -> None:
    transformer = sql.session(TRANSFORMER)
    sql(f"CREATE TABLE models.mine {TABLE}", transformer)
    sql("INSERT INTO models.mine SELECT k, v FROM raw_data.t", transformer)
    sql("CREATE VIEW models.seen AS SELECT k FROM raw_data.t", transformer)
    sql("SELECT k FROM models.seen", transformer)
    sql("DROP VIEW models.seen", transformer)
    sql("ALTER TABLE models.mine RENAME other", transformer)
    sql("DROP TABLE models.other", transformer)


def test_a_database_without_tables_is_shown_to_who_may_make_some(sql: Statements) -> None:
    sql("CREATE DATABASE fresh")
    for statement in transformer_statements(PASSWORD, "fresh"):
        sql(statement)
    names = "SELECT schema_name FROM information_schema.schemata ORDER BY 1"
    found = sql(names, sql.session(TRANSFORMER))
    assert found == [("fresh",), ("information_schema",), ("models",), ("raw_data",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw_data.t VALUES (3, 3)",
        "DELETE FROM raw_data.t WHERE k = 1",
        "DROP TABLE raw_data.t",
        f"CREATE TABLE raw_data.mine {TABLE}",
        "SELECT k FROM hidden.t",
        "DROP DATABASE models",
        "CREATE DATABASE mine",
        "CREATE USER other IDENTIFIED BY 'p'",
        f"GRANT INSERT ON raw_data.t TO USER {TRANSFORMER}",
    ],
)
def test_the_transformer_may_nothing_else(sql: Statements, statement: str) -> None:
    with pytest.raises(SqlError, match="denied"):
        sql(statement, sql.session(TRANSFORMER))


@pytest.mark.integration
def test_a_load_is_taken_from_the_loader_and_refused_from_the_transformer(
    server: RunningServer,
) -> None:
    server.query("CREATE DATABASE raw_data")
    server.query(f"CREATE TABLE raw_data.t {TABLE}")
    server.query("CREATE DATABASE models")
    for statement in (*loader_statements("l"), *transformer_statements("t", "models")):
        server.query(statement)
    path, body = "/api/raw_data/t/_stream_load", b'[{"k": 1, "v": 1}]'
    options = {"format": "json", "strip_outer_array": "true"}
    _, taken = server.http("PUT", path, body, user=(LOADER, "l"), **options)
    assert b'"Success"' in taken
    _, refused = server.http("PUT", path, body, user=(TRANSFORMER, "t"), **options)
    assert b'"Success"' not in refused
    assert server.query("SELECT COUNT(*) FROM raw_data.t") == [(1,)]
