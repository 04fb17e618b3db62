"""AGGREGATE and UNIQUE keys, generated and counted columns: rows as StarRocks' documents say."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from tests.starrocks.conftest import Statements


def test_aggregate_keys_merge_each_column_by_its_rule(sql: Statements) -> None:
    sql(
        "CREATE TABLE d.agg (k INT, day DATE, n BIGINT SUM DEFAULT '0', hi INT MAX, lo INT MIN, "
        "last_ VARCHAR(9) REPLACE, kept VARCHAR(9) REPLACE_IF_NOT_NULL COMMENT 'MAX') "
        "AGGREGATE KEY (k, day) DISTRIBUTED BY HASH(k)"
    )
    sql(
        "INSERT INTO d.agg VALUES (1, '2026-01-01', 1, 5, 5, 'a', 'a'), "
        "(1, '2026-01-01', 2, 7, 3, 'b', NULL), (NULL, '2026-01-01', 1, 1, 1, 'x', 'x')"
    )
    sql("INSERT INTO d.agg VALUES (1, '2026-01-01', 10, 6, 4, NULL, 'c')")
    sql("INSERT INTO d.agg VALUES (NULL, '2026-01-01', 1, NULL, NULL, 'y', NULL)")
    assert sql("SELECT k, n, hi, lo, last_, kept FROM d.agg ORDER BY k") == [
        (None, 2, 1, 1, "y", "x"),
        (1, 13, 7, 3, None, "c"),
    ]
    keys = sql(
        "SELECT COLUMN_NAME, COLUMN_KEY FROM information_schema.columns WHERE TABLE_NAME = 'agg'"
    )
    assert keys[0] == ("k", "AGG")
    assert [row[5] for row in sql("DESC d.agg")][2:] == [
        "SUM",
        "MAX",
        "MIN",
        "REPLACE",
        "REPLACE_IF_NOT_NULL",
    ]


def test_unique_keys_hold_the_last_row_also_of_null(sql: Statements) -> None:
    sql("CREATE TABLE d.uni (k INT, v INT) UNIQUE KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.uni VALUES (1, 1), (1, 2), (NULL, 3); INSERT INTO d.uni VALUES (NULL, 4)")
    assert sql("SELECT * FROM d.uni ORDER BY k") == [(None, 4), (1, 2)]
    with pytest.raises(SqlError):
        sql("UPDATE d.uni SET v = 1 WHERE k = 1")
    with pytest.raises(SqlError):
        sql("DELETE FROM d.uni WHERE v = 2")
    assert sql("DELETE FROM d.uni WHERE k = 1 AND k IN (1, 2)") == [(1,)]


@pytest.mark.parametrize(
    "condition",
    ["v = 1 OR v = 2", "v + 1 = 2", "v = k", "v IN (SELECT 1)", "abs(v) = 1", "1 = 1"],
)
def test_delete_outside_of_primary_keys_compares_columns_with_values(
    sql: Statements, condition: str
) -> None:
    sql("CREATE TABLE IF NOT EXISTS d.dups (k INT, v INT) DUPLICATE KEY (k)")
    with pytest.raises(SqlError):
        sql(f"DELETE FROM d.dups WHERE {condition}")
    with pytest.raises(SqlError):
        sql("DELETE FROM d.dups")


def test_delete_of_a_duplicate_key_table(sql: Statements) -> None:
    sql("CREATE TABLE d.dels (k INT, v INT) DUPLICATE KEY (k)")
    sql("INSERT INTO d.dels VALUES (1, 1), (2, 2), (3, NULL), (4, 4)")
    assert sql("DELETE FROM d.dels WHERE v IS NULL AND k > 1") == [(1,)]
    assert sql("DELETE FROM d.dels WHERE v NOT IN (1, 2)") == [(1,)]
    assert sql("DELETE FROM d.dels WHERE k BETWEEN 2 AND 9") == [(1,)]
    assert sql("SELECT * FROM d.dels") == [(1, 1)]


GENERATED = (
    "CREATE TABLE d.gen (k INT NOT NULL, a INT, doc JSON, twice BIGINT AS a * 2 COMMENT 'x', "
    "name STRING AS get_json_string(doc, '$.name')) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)"
)


def test_generated_columns_follow_their_row(sql: Statements) -> None:
    sql(GENERATED)
    sql('INSERT INTO d.gen VALUES (1, 5, parse_json(\'{"name": "n"}\'))')
    sql("INSERT INTO d.gen (k, a) VALUES (2, 6)")
    assert sql("SELECT k, twice, name FROM d.gen ORDER BY k") == [(1, 10, "n"), (2, 12, None)]
    sql("UPDATE d.gen SET a = a + 1, doc = DEFAULT WHERE k = 1")
    assert sql("SELECT twice, name FROM d.gen WHERE k = 1") == [(12, None)]
    for statement in (
        "INSERT INTO d.gen (k, twice) VALUES (3, 1)",
        "INSERT INTO d.gen VALUES (3, 1, NULL, 2, 'x')",
        "UPDATE d.gen SET twice = 1 WHERE k = 1",
    ):
        with pytest.raises(SqlError):
            sql(statement)


@pytest.mark.parametrize(
    "create",
    [
        GENERATED.replace("d.gen", "d.round"),
        "CREATE TABLE d.round (k INT NOT NULL, n BIGINT SUM NULL DEFAULT '0' COMMENT 'of \"all\"', "
        "r STRING REPLACE NOT NULL DEFAULT 'a') AGGREGATE KEY (k) COMMENT 'c' "
        "PARTITION BY RANGE (k) (PARTITION p1 VALUES LESS THAN ('10'), "
        "PARTITION p2 VALUES LESS THAN MAXVALUE) DISTRIBUTED BY HASH(k) BUCKETS 3 "
        "PROPERTIES ('replication_num' = '1')",
        "CREATE TABLE d.round (id BIGINT NOT NULL AUTO_INCREMENT, b VARCHAR(5)) PRIMARY KEY (id) "
        "DISTRIBUTED BY HASH(id) ORDER BY (b)",
        "CREATE TABLE d.round (k INT, b VARCHAR(5) NOT NULL) UNIQUE KEY (k, b) "
        "PARTITION BY LIST (b) (PARTITION p1 VALUES IN ('a', 'b')) DISTRIBUTED BY HASH(k)",
        "CREATE TABLE d.round (k DATE, b INT) DUPLICATE KEY (k) PARTITION BY RANGE (k) "
        "(START ('2026-01-01') END ('2026-02-01') EVERY (INTERVAL 1 DAY)) DISTRIBUTED BY RANDOM",
        "CREATE TABLE d.round (k DATE) DUPLICATE KEY (k) PARTITION BY date_trunc('month', k)",
        "CREATE TABLE d.round (k DATE, b INT) DUPLICATE KEY (k) PARTITION BY (k, b)",
    ],
)
def test_show_create_makes_the_same_table_again(sql: Statements, create: str) -> None:
    sql("DROP TABLE IF EXISTS d.round")
    sql(create)
    shown = sql("SHOW CREATE TABLE d.round")[0][1]
    described = sql("DESC d.round")
    sql("DROP TABLE d.round FORCE")
    sql(shown.replace("`round`", "`d`.`round`", 1))
    assert sql("SHOW CREATE TABLE d.round")[0][1] == shown
    assert sql("DESC d.round") == described


def test_counted_columns_give_each_row_a_number_of_its_own(sql: Statements) -> None:
    sql(
        "CREATE TABLE d.auto (id BIGINT NOT NULL AUTO_INCREMENT, name STRING) "
        "PRIMARY KEY (id) DISTRIBUTED BY HASH(id)"
    )
    sql("INSERT INTO d.auto (name) VALUES ('a'), ('b')")
    sql("INSERT INTO d.auto VALUES (DEFAULT, 'c'), (100, 'd')")
    rows = sql("SELECT id, name FROM d.auto ORDER BY name")
    assert len({number for number, _ in rows}) == 4
    assert rows[3] == (100, "d")
    assert all(number is not None for number, _ in rows)


def test_delete_and_update_take_other_tables_by_name(sql: Statements) -> None:
    sql("CREATE TABLE d.p (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.p VALUES (1, 1), (2, 2), (3, 3)")
    sql("WITH x AS (SELECT 1 AS k, 50 AS v) UPDATE d.p SET v = x.v FROM x WHERE p.k = x.k")
    sql("WITH x AS (SELECT 2 AS k) DELETE FROM d.p USING x WHERE p.k = x.k")
    assert sql("SELECT * FROM d.p ORDER BY k") == [(1, 50), (3, 3)]


def test_insert_by_name_and_truncate_of_a_partition(sql: Statements) -> None:
    sql("CREATE TABLE d.named (k INT NOT NULL, a INT, b INT) PRIMARY KEY (k)")
    sql("INSERT INTO d.named BY NAME SELECT 3 AS b, 1 AS k")
    assert sql("SELECT * FROM d.named") == [(1, None, 3)]
    with pytest.raises(SqlError):
        sql("TRUNCATE TABLE d.named PARTITION (p1)")
    assert sql("SELECT count(*) FROM d.named") == [(1,)]
