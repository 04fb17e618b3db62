"""DDL that round-trips, metadata as StarRocks shows it, and rows by the rules of the key model."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from embedded_starrocks.errors import SqlError
from tests.starrocks.conftest import Statements

WIDE = """
CREATE TABLE IF NOT EXISTS d.wide (
    accepted_on DATE NOT NULL COMMENT "day of acceptance",
    writer INT NOT NULL,
    seq BIGINT NOT NULL,
    observed_at DATETIME NULL COMMENT "it's UTC, \\"measured\\"",
    name VARCHAR(20) NULL DEFAULT "none",
    body STRING NULL,
    is_on BOOLEAN NULL,
    depth_m DOUBLE NULL,
    price DECIMAL(10, 2) NULL,
    doc JSON NULL,
    tags ARRAY<VARCHAR(10)> NULL,
    big LARGEINT NULL
)
PRIMARY KEY (accepted_on, writer, seq)
COMMENT "all types"
PARTITION BY date_trunc('day', accepted_on)
DISTRIBUTED BY HASH(seq) BUCKETS 1
ORDER BY (accepted_on, seq)
PROPERTIES ("replication_num" = "1")
"""


@pytest.fixture(scope="module", autouse=True)
def _wide(sql: Statements) -> None:
    sql(WIDE)


def test_show_create_table_makes_the_same_table_again(sql: Statements) -> None:
    shown = sql("SHOW CREATE TABLE d.wide")[0][1]
    sql(shown.replace("`wide`", "`d`.`wide_again`", 1))
    assert sql("SHOW CREATE TABLE d.wide_again")[0][1] == shown.replace("`wide`", "`wide_again`", 1)
    for clause in (
        "PRIMARY KEY(`accepted_on`, `writer`, `seq`)",
        'COMMENT "all types"',
        "PARTITION BY date_trunc('day', accepted_on)",
        "DISTRIBUTED BY HASH(seq) BUCKETS 1",
        "ORDER BY (accepted_on, seq)",
        '"replication_num" = "1"',
        '`name` varchar(20) NULL DEFAULT "none"',
    ):
        assert clause in shown


def test_information_schema_has_what_the_flink_connector_compares(sql: Statements) -> None:
    rows = sql(
        "SELECT `COLUMN_NAME`, `ORDINAL_POSITION`, `COLUMN_KEY`, `DATA_TYPE`, `COLUMN_SIZE`, "
        "`DECIMAL_DIGITS` FROM `information_schema`.`COLUMNS` "
        "WHERE `TABLE_SCHEMA` = 'd' AND `TABLE_NAME` = 'wide' ORDER BY 2"
    )
    assert rows[0] == ("accepted_on", 1, "PRI", "date", 10, None)
    assert rows[2] == ("seq", 3, "PRI", "bigint", 19, 0)
    assert rows[4] == ("name", 5, "", "varchar", 20, None)
    assert rows[5][3:5] == ("varchar", 65533)
    assert rows[8] == ("price", 9, "", "decimal", 10, 2)
    assert [row[3] for row in rows[9:]] == ["json", "array<varchar(10)>", "bigint unsigned"]


def test_desc_and_comments_are_kept(sql: Statements) -> None:
    described = sql("DESC d.wide")
    assert described[0] == ("accepted_on", "date", "NO", "true", None, "")
    assert described[4] == ("name", "varchar(20)", "YES", "false", "none", "")
    full = sql("SHOW FULL COLUMNS FROM d.wide LIKE 'observed%'")
    assert full[0][-1] == 'it\'s UTC, "measured"'
    tables = sql("SELECT TABLE_COMMENT FROM information_schema.tables WHERE TABLE_NAME = 'wide'")
    assert tables == [("all types",)]


def test_the_last_row_of_a_key_wins_within_and_across_inserts(sql: Statements) -> None:
    sql("CREATE TABLE d.up (k INT NOT NULL, v STRING) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.up VALUES (1, 'first'), (2, 'b'), (1, 'second')")
    assert sql("SELECT * FROM d.up ORDER BY k") == [(1, "second"), (2, "b")]
    assert sql("INSERT INTO d.up VALUES (1, 'third'), (3, NULL)") == [(2,)]
    assert sql("SELECT * FROM d.up ORDER BY k") == [(1, "third"), (2, "b"), (3, None)]


def test_duplicate_key_keeps_every_row(sql: Statements) -> None:
    sql("CREATE TABLE d.dup (k INT, v INT) DUPLICATE KEY (k) DISTRIBUTED BY RANDOM")
    sql("INSERT INTO d.dup VALUES (1, 1), (1, 1)")
    assert sql("SELECT count(*) FROM d.dup") == [(2,)]


def test_all_types_come_back_as_they_went_in(sql: Statements) -> None:
    sql(
        "INSERT INTO d.wide VALUES ('2026-11-21', 1, 1, '2026-11-21T09:14:10.5', 'n', 'b', true, "
        "1.5, 2.345, parse_json('{\"a\":[1]}'), ['x', 'y'], "
        "170141183460469231731687303715884105727)"
    )
    assert sql("SELECT * FROM d.wide WHERE seq = 1") == [
        (
            datetime.date(2026, 11, 21),
            1,
            1,
            datetime.datetime.fromisoformat("2026-11-21T09:14:10.500000"),
            "n",
            "b",
            True,
            1.5,
            Decimal("2.35"),
            '{"a":[1]}',
            ["x", "y"],
            2**127 - 1,
        )
    ]


def test_a_missing_column_gets_its_default(sql: Statements) -> None:
    sql("INSERT INTO d.wide (accepted_on, writer, seq) VALUES ('2026-11-21', 1, 2)")
    assert sql("SELECT name, body FROM d.wide WHERE seq = 2") == [("none", None)]


@pytest.mark.parametrize(
    "values",
    [
        "('2026-11-21', 1, 3, 'no time', 'n')",
        "('2026-11-21', 1, 3, NULL, 'a name that is longer than twenty bytes')",
        "('2026-02-30', 1, 3, NULL, 'n')",
        "(NULL, 1, 3, NULL, 'n')",
        "('2026-11-21', 99999999999, 3, NULL, 'n')",
        "('2026-11-21', 'x', 3, NULL, 'n')",
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_changes(
    sql: Statements, values: str
) -> None:
    with pytest.raises(SqlError):
        sql(
            "INSERT INTO d.wide (accepted_on, writer, seq, observed_at, name) VALUES "
            f"('2026-11-21', 1, 4, NULL, 'good'), {values}"
        )
    assert sql("SELECT count(*) FROM d.wide WHERE seq IN (3, 4)") == [(0,)]


def test_a_fraction_is_cut_off_for_an_integer_column(sql: Statements) -> None:
    sql("CREATE TABLE d.whole (k INT NOT NULL, n BIGINT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.whole VALUES (1, 1.7), (2, -1.7)")
    assert sql("SELECT n FROM d.whole ORDER BY k") == [(1,), (-1,)]


def test_update_and_delete_follow_starrocks_rules(sql: Statements) -> None:
    sql("CREATE TABLE d.upd (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("CREATE TABLE d.src (k INT, v INT) DUPLICATE KEY (k) DISTRIBUTED BY RANDOM")
    sql("INSERT INTO d.upd VALUES (1, 1), (2, 2), (3, 3); INSERT INTO d.src VALUES (2, 20)")
    assert sql("UPDATE d.upd SET v = v + 1 WHERE k = 1") == [(1,)]
    assert sql("UPDATE d.upd, d.src SET d.upd.v = src.v WHERE upd.k = src.k") == [(1,)]
    assert sql("UPDATE d.upd SET v = src.v + 1 FROM d.src WHERE upd.k = src.k") == [(1,)]
    assert sql("DELETE FROM d.upd WHERE k IN (SELECT 3)") == [(1,)]
    assert sql("SELECT * FROM d.upd ORDER BY k") == [(1, 2), (2, 21)]
    for statement in (
        "UPDATE d.upd SET v = 1",
        "UPDATE d.upd SET k = 9 WHERE k = 1",
        "UPDATE d.src SET v = 1 WHERE k = 2",
        "DELETE FROM d.upd",
    ):
        with pytest.raises(SqlError):
            sql(statement)


def test_overwrite_replaces_all_or_only_the_partitions_that_get_rows(sql: Statements) -> None:
    sql(
        "CREATE TABLE d.part (on_ DATE, v INT) DUPLICATE KEY (on_) "
        "PARTITION BY date_trunc('month', on_) DISTRIBUTED BY RANDOM"
    )
    sql("INSERT INTO d.part VALUES ('2026-01-05', 1), ('2026-01-06', 2), ('2026-02-01', 3)")
    sql(
        "INSERT /*+SET_VAR(dynamic_overwrite = true)*/ OVERWRITE d.part "
        "SELECT on_, v * 10 FROM d.part WHERE on_ = '2026-01-05'"
    )
    assert sql("SELECT v FROM d.part ORDER BY v") == [(3,), (10,)]
    sql("INSERT OVERWRITE d.part SELECT on_, v + 1 FROM d.part WHERE v = 3")
    assert sql("SELECT v FROM d.part") == [(4,)]


def test_alter_table_forms(sql: Statements) -> None:
    sql("CREATE TABLE d.a1 (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("CREATE TABLE d.a2 (k INT NOT NULL, w STRING) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.a1 VALUES (1, 5); INSERT INTO d.a2 VALUES (2, 'two')")
    sql("ALTER TABLE d.a1 ADD COLUMN note VARCHAR(10) DEFAULT 'q' COMMENT 'a note' AFTER k")
    assert [row[0] for row in sql("DESC d.a1")] == ["k", "note", "v"]
    assert sql("SELECT * FROM d.a1") == [(1, "q", 5)]
    sql("ALTER TABLE d.a1 MODIFY COLUMN v BIGINT")
    sql("ALTER TABLE d.a1 RENAME COLUMN note TO remark")
    sql("ALTER TABLE d.a1 COMMENT = 'changed'")
    assert 'COMMENT "changed"' in sql("SHOW CREATE TABLE d.a1")[0][1]
    assert sql("DESC d.a1")[2][1] == "bigint"
    sql("ALTER TABLE d.a1 SWAP WITH a2")
    assert sql("SELECT * FROM d.a1") == [(2, "two")]
    assert sql("SELECT remark FROM d.a2") == [("q",)]
    sql("ALTER TABLE d.a2 DROP COLUMN remark")
    sql("ALTER TABLE d.a2 RENAME a3")
    assert sql("SELECT * FROM d.a3") == [(1, 5)]
    with pytest.raises(SqlError):
        sql("ALTER TABLE d.a3 DROP COLUMN k")


def test_views_are_canonical_and_replaceable(sql: Statements) -> None:
    sql("CREATE TABLE d.base (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.base VALUES (1, 5)")
    sql("CREATE VIEW d.seen (id COMMENT 'the key', v) COMMENT 'a view' AS SELECT k, v FROM base")
    definition = "SELECT `k`, `v` FROM `d`.`base`"
    query = "SELECT VIEW_DEFINITION FROM information_schema.views WHERE TABLE_NAME = 'seen'"
    assert sql(query) == [(definition,)]
    assert sql("SELECT id FROM d.seen") == [(1,)]
    sql("CREATE OR REPLACE VIEW d.seen AS SELECT k + 1 AS id FROM d.base")
    assert sql("SELECT * FROM d.seen") == [(2,)]
    with pytest.raises(SqlError):
        sql("CREATE VIEW d.seen AS SELECT 1 AS a")
    with pytest.raises(SqlError):
        sql("DROP TABLE d.seen")
    sql("DROP VIEW d.seen")


def test_materialized_view_is_filled_and_refreshed_on_command(sql: Statements) -> None:
    sql("CREATE TABLE d.mb (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("INSERT INTO d.mb VALUES (1, 5)")
    sql(
        "CREATE MATERIALIZED VIEW d.mv DISTRIBUTED BY HASH(k) REFRESH MANUAL "
        "PROPERTIES ('replication_num' = '1') AS SELECT k, sum(v) AS v FROM mb GROUP BY k"
    )
    sql("INSERT INTO d.mb VALUES (2, 6)")
    assert sql("SELECT * FROM d.mv ORDER BY k") == [(1, 5)]
    sql("REFRESH MATERIALIZED VIEW d.mv WITH SYNC MODE")
    assert sql("SELECT * FROM d.mv ORDER BY k") == [(1, 5), (2, 6)]
    assert sql(
        "SELECT IS_ACTIVE FROM information_schema.materialized_views WHERE TABLE_NAME = 'mv'"
    ) == [("true",)]
    sql("DROP MATERIALIZED VIEW d.mv")


def test_create_table_as_keeps_types_of_starrocks(sql: Statements) -> None:
    sql(
        "CREATE TABLE d.ctas PRIMARY KEY (b) DISTRIBUTED BY HASH(b) AS "
        "SELECT sum(v) AS a, k AS b, count(*) AS c, 1.50 AS e FROM "
        "(SELECT 1 AS k, 2 AS v) t GROUP BY k"
    )
    assert [row[:2] for row in sql("DESC d.ctas")] == [
        ("b", "int"),
        ("a", "bigint"),
        ("c", "bigint"),
        ("e", "decimal(3, 2)"),
    ]
    assert sql("SELECT b, a, c FROM d.ctas") == [(1, 2, 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE d.no (a INT, b BIGINT) AGGREGATE KEY (a) DISTRIBUTED BY HASH(a)",
        "CREATE TABLE d.no (a INT, b BIGINT SUM) DUPLICATE KEY (a) DISTRIBUTED BY HASH(a)",
        "CREATE TABLE d.no (a INT, b STRING SUM) AGGREGATE KEY (a) DISTRIBUTED BY HASH(a)",
        "CREATE TABLE d.no (a INT, b INT AS nosuch + 1) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a INT, b INT NOT NULL AS a + 1) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a INT, b INT AS (SELECT 1)) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a INT AUTO_INCREMENT) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a INT, b INT) PRIMARY KEY (b) DISTRIBUTED BY HASH(b)",
        "CREATE TABLE d.no (a DOUBLE) PRIMARY KEY (a) DISTRIBUTED BY HASH(a)",
        "CREATE TABLE d.no (a INT, a INT) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a PERCENTILE) DUPLICATE KEY (a)",
        "CREATE TABLE d.no (a INT) ENGINE = MYSQL",
        "CREATE TABLE d.no (a VARCHAR(0)) DUPLICATE KEY (a)",
        "CREATE TABLE d.`no;x` (a INT)",
        "CREATE EXTERNAL CATALOG x PROPERTIES ('type' = 'hive')",
        "CREATE MATERIALIZED VIEW d.no REFRESH ASYNC EVERY (INTERVAL 0 HOUR) AS SELECT 1 AS a",
    ],
)
def test_what_is_not_supported_or_contradictory_is_refused(sql: Statements, statement: str) -> None:
    with pytest.raises(SqlError):
        sql(statement)
    assert sql("SHOW TABLES FROM d LIKE 'no%'") == []


def test_submitted_task_is_found_finished(sql: Statements) -> None:
    sql("SUBMIT /*+set_var(query_timeout=60)*/ TASK job AS CREATE TABLE d.made AS SELECT 1 AS a")
    assert sql("SELECT STATE FROM information_schema.task_runs WHERE TASK_NAME = 'job'") == [
        ("SUCCESS",)
    ]
    assert sql("SELECT * FROM d.made") == [(1,)]
    sql("DROP TASK job")
    runs = "SELECT count(*) FROM information_schema.task_runs WHERE TASK_NAME = 'job'"
    assert sql(runs) == [(0,)]


def test_a_reading_user_can_read_and_nothing_else(sql: Statements) -> None:
    sql("CREATE TABLE d.open_ (k INT) DUPLICATE KEY (k)")
    sql("CREATE TABLE d.other (k INT) DUPLICATE KEY (k)")
    sql("CREATE USER 'reader'@'%' IDENTIFIED BY 'r'; GRANT SELECT ON TABLE d.open_ TO USER reader")
    reader = sql.session("reader")
    assert sql("SELECT count(*) FROM d.open_", reader) == [(0,)]
    for statement, code in (
        ("SELECT * FROM d.other", 1142),
        ("SELECT * FROM (SELECT * FROM d.open_, d.other) t", 1142),
        ("INSERT INTO d.open_ VALUES (1)", 1142),
        ("DELETE FROM d.open_ WHERE k = 1", 1142),
        ("TRUNCATE TABLE d.open_", 1142),
        ("DROP TABLE d.open_", 1142),
        ("ALTER TABLE d.open_ ADD COLUMN x INT", 1142),
        ("CREATE TABLE d.mine (a INT)", 1044),
        ("CREATE VIEW d.mine AS SELECT * FROM d.open_", 1044),
        ("CREATE DATABASE mine", 1227),
        ("DROP DATABASE d", 1044),
        ("GRANT SELECT ON d.other TO USER reader", 1227),
        ("CREATE USER x IDENTIFIED BY 'x'", 1227),
        ("DROP USER root", 1227),
        ("SET GLOBAL query_timeout = 1", 1227),
    ):
        with pytest.raises(SqlError) as caught:
            sql(statement, reader)
        assert caught.value.code == code, statement
    assert sql("SHOW TABLES FROM d", reader) == [("open_",)]
    sql("REVOKE SELECT ON d.open_ FROM USER reader")
    with pytest.raises(SqlError):
        sql("SELECT count(*) FROM d.open_", reader)


def test_a_reader_does_not_see_the_columns_of_what_it_may_not_read(sql: Statements) -> None:
    sql("CREATE TABLE d.hidden (secret_column INT) DUPLICATE KEY (secret_column)")
    sql("CREATE USER peeker IDENTIFIED BY 'r'")
    peeker = sql.session("peeker")
    for view in ("tables", "columns", "tables_config", "partitions_meta"):
        found = sql(f"SELECT TABLE_NAME FROM information_schema.{view}", peeker)
        assert found == [], view
    assert sql("SELECT * FROM information_schema.loads", peeker) == []
    assert sql("SELECT SCHEMA_NAME FROM information_schema.schemata", peeker) == [
        ("information_schema",)
    ]
