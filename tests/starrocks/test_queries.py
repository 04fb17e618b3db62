"""Query forms that models use, and what clients may not reach."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from tests.starrocks.conftest import Statements


@pytest.fixture(scope="module", autouse=True)
def _tables(sql: Statements) -> None:
    sql(
        "CREATE TABLE q (k INT NOT NULL, at_ DATETIME, n INT, tags ARRAY<VARCHAR(10)>, doc JSON) "
        "DUPLICATE KEY (k) DISTRIBUTED BY HASH(k)"
    )
    sql(
        "INSERT INTO q VALUES "
        "(1, '2026-11-21 01:00:00', 10, ['a', 'b'], parse_json('{\"x\": 1}')), "
        "(2, '2026-11-21 02:00:00', 20, ['c'], NULL), (3, NULL, NULL, NULL, NULL)"
    )


QUERIES = [
    ("with a as (select k, n from q), b as (select * from a where n > 10) select k from b", [(2,)]),
    ("select k from q qualify row_number() over (order by n desc) = 1", [(2,)]),
    (
        "select q.k, t.tag from q, unnest(q.tags) as t(tag) order by 1, 2",
        [(1, "a"), (1, "b"), (2, "c")],
    ),
    ("select k, unnest from q cross join unnest(tags) order by 2 limit 1", [(1, "a")]),
    (
        "select a.k, b.k from (select 1 k union all select 2) a full outer join "
        "(select 2 k union all select 3) b on a.k = b.k order by 1, 2",
        [(None, 3), (1, None), (2, 2)],
    ),
    ("select a.k from q a left anti join q b on a.k = b.k + 1 order by 1", [(1,)]),
    ("select a.k from q a left semi join q b on a.k = b.k + 1 order by 1", [(2,), (3,)]),
    (
        "select lag(n) over (order by k), lead(n, 1, 0) over (order by k) from q "
        "order by k limit 1",
        [(None, 20)],
    ),
    ("select count(*) from q group by () having count(*) > 1", [(3,)]),
    ("select k % 2 odd, sum(n) from q group by odd order by odd", [(0, 20), (1, 10)]),
    (
        "select grouping(k), sum(n) from q where k < 3 group by rollup(k) order by 1, 2",
        [(0, 10), (0, 20), (1, 30)],
    ),
    ("select k from q where at_ >= '2026-11-21 02:00:00'", [(2,)]),
    ("select k from q where date(at_) = '2026-11-21' and hour(at_) = 1", [(1,)]),
    ("select doc->'$.x' from q where k = 1", [("1",)]),
    ("select k from q where k in (select k from q where n = 20) and exists (select 1)", [(2,)]),
    ("select d.q.k from d.q order by 1 limit 1, 1", [(2,)]),
    ("select `k` AS `order` from default_catalog.d.q where k = 1", [(1,)]),
    ("select max(k) from q union all select min(k) from q", [(3,), (1,)]),
    ("select k from q where n is null or n between 5 and 10 order by k", [(1,), (3,)]),
    (
        "select sum(n) over (order by k rows between 1 preceding and current row) from q "
        "order by k",
        [(10,), (30,), (20,)],
    ),
    ("select * from table(generate_series(1, 3))", [(1,), (2,), (3,)]),
    ("select k from q order by n desc nulls first limit 1", [(3,)]),
    ("select case k when 1 then 'one' else 'more' end from q order by k limit 1", [("one",)]),
    ("select 'it''s', \"quoted\"", [("it's", "quoted")]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=[query for query, _ in QUERIES])
def test_query_form_is_answered(sql: Statements, query: str, expected: object) -> None:
    assert sql(query) == expected


CLOSED = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM read_json('x.json')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM __starrocks.users",
    "SELECT * FROM `__starrocks`.`users`",
    "SELECT * FROM main.x",
    "COPY q TO '/tmp/x'",
    "ATTACH '/tmp/x' AS x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "EXPORT DATABASE '/tmp/x'",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "CREATE TABLE __starrocks.x (a INT)",
    "CREATE MACRO m() AS 1",
    "SET GLOBAL memory_limit = '1TB'; SELECT getvariable('x')",
    "CHECKPOINT",
    "DETACH d",
    "VACUUM",
    "PREPARE x AS SELECT 1",
    "DROP DATABASE __starrocks",
    "DELETE FROM __starrocks.users",
]


@pytest.mark.parametrize("statement", CLOSED)
def test_files_settings_and_internals_are_closed(sql: Statements, statement: str) -> None:
    with pytest.raises(SqlError):
        sql(statement)


def test_duckdb_itself_refuses_files_and_settings(sql: Statements) -> None:
    """The second wall: even a statement that came through would not reach a file."""
    connection = sql.store.engine.reader()
    for statement in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/embedded_starrocks_test.csv'",
        "ATTACH '/tmp/embedded_starrocks_test.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|disabled|locked|configuration"):
            connection.execute(statement)


def test_unknown_names_have_the_numbers_that_clients_decide_by(sql: Statements) -> None:
    for statement, code in (
        ("SELECT nope FROM q", 1054),
        ("SELECT * FROM nope", 1146),
        ("SELECT * FROM nope.q", 1049),
        ("USE nope", 1049),
        ("SELEC 1", 1064),
        ("CREATE TABLE q (a INT)", 1050),
        ("CREATE DATABASE d", 1007),
        ("DROP TABLE nope", 1051),
        ("ALTER TABLE q ADD COLUMN n INT", 1060),
    ):
        with pytest.raises(SqlError) as caught:
            sql(statement)
        assert caught.value.code == code, statement
