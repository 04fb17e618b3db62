"""Stock clients: PyMySQL, mysql-connector-python, SQLAlchemy, and the mysql command line."""

from __future__ import annotations

import datetime
import subprocess
from decimal import Decimal

import mysql.connector
import pymysql
import pytest
import sqlalchemy

from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = pytest.mark.integration

COLUMNS = (
    "k INT NOT NULL, n BIGINT, big LARGEINT, b BOOLEAN, d DOUBLE, f FLOAT, p DECIMAL(20, 4), "
    "s STRING, on_ DATE, at_ DATETIME, doc JSON, tags ARRAY<INT>"
)
NOW = datetime.datetime.fromisoformat("2026-11-21T09:14:10.500000")


@pytest.fixture(scope="module", autouse=True)
def _table(server: RunningServer) -> None:
    server.query(
        f"CREATE TABLE d.kinds ({COLUMNS}) PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1"
    )
    server.query(
        "INSERT INTO d.kinds VALUES (1, -9223372036854775808, "
        "170141183460469231731687303715884105727, "
        "true, 0.1, 1.5, 123.4567, 'é''\\\\\n', '2026-11-21', '2026-11-21 09:14:10.5', "
        "parse_json('{\"a\":1}'), [1, NULL]), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    )


def test_pymysql_reads_every_type(server: RunningServer) -> None:
    full, empty = server.query("SELECT * FROM d.kinds ORDER BY k")
    assert full == (
        1,
        -(2**63),
        str(2**127 - 1),
        1,
        0.1,
        1.5,
        Decimal("123.4567"),
        "é'\\\n",
        datetime.date(2026, 11, 21),
        NOW,
        '{"a": 1}',
        "[1,null]",
    )
    assert empty == (2,) + (None,) * 11


def test_pymysql_escapes_and_counts(server: RunningServer) -> None:
    with server.connect(database="d") as connection, connection.cursor() as cursor:
        nasty = "a'b\"c\\d\n%s`; DROP TABLE d.kinds; --"
        assert cursor.execute("INSERT INTO kinds (k, s) VALUES (%s, %s)", (10, nasty)) == 1
        cursor.execute("SELECT s FROM kinds WHERE s = %s", (nasty,))
        assert cursor.fetchall() == ((nasty,),)
        rows = [(11, "x"), (12, "y"), (13, None)]
        assert cursor.executemany("INSERT INTO kinds (k, s) VALUES (%s, %s)", rows) == 3
        assert cursor.execute("DELETE FROM kinds WHERE k >= 10") == 4


def test_a_large_result_and_a_large_value_arrive_whole(server: RunningServer) -> None:
    rows = server.query(
        "SELECT generate_series, repeat('x', 100) FROM TABLE(generate_series(1, 20000))"
    )
    assert [row[0] for row in rows] == list(range(1, 20001))
    ((text,),) = server.query("SELECT repeat('y', 17000000)")
    assert len(text) == 17_000_000


def test_several_statements_give_several_results(server: RunningServer) -> None:
    flags = pymysql.constants.CLIENT.MULTI_STATEMENTS
    with server.connect(client_flag=flags) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1; SET @a = 5; SELECT @a + 1")
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset()
        assert cursor.nextset()
        assert cursor.fetchall() == ((6,),)


def test_mysql_connector_text_and_prepared(server: RunningServer) -> None:
    connection = mysql.connector.connect(
        host="127.0.0.1",
        port=server.mysql_port,
        user="root",
        password=PASSWORD,
        database="d",
        use_pure=True,
    )
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT n, d, at_, p FROM kinds WHERE k = 1")
        assert cursor.fetchall() == [(-(2**63), 0.1, NOW, Decimal("123.4567"))]
        cursor.close()
        prepared = connection.cursor(prepared=True)
        query = (
            "SELECT k, n, b, d, f, p, s, on_, at_ FROM kinds WHERE k = ? AND (s = ? OR s IS NULL)"
        )
        prepared.execute(query, (1, "é'\\\n"))
        (row,) = prepared.fetchall()
        assert row[:5] == (1, -(2**63), 1, 0.1, 1.5)
        assert row[5:] == (Decimal("123.4567"), "é'\\\n", datetime.date(2026, 11, 21), NOW)
        prepared.execute(query, (2, None))
        assert prepared.fetchall() == [(2,) + (None,) * 8]
        prepared.execute(
            "INSERT INTO kinds (k, d, s, at_, p) VALUES (?, ?, ?, ?, ?)",
            (20, 2.5, "'; DROP TABLE kinds; -- ?", NOW, Decimal("1.25")),
        )
        prepared.execute("SELECT d, s, at_, p FROM kinds WHERE k = ?", (20,))
        assert prepared.fetchall() == [(2.5, "'; DROP TABLE kinds; -- ?", NOW, Decimal("1.2500"))]
        prepared.execute("DELETE FROM kinds WHERE k = ?", (20,))
        prepared.close()
    finally:
        connection.close()


def test_sqlalchemy_inspects_and_queries(server: RunningServer) -> None:
    address = sqlalchemy.URL.create(
        "mysql+pymysql", "root", PASSWORD, "127.0.0.1", server.mysql_port, "d"
    )
    engine = sqlalchemy.create_engine(address)
    try:
        inspector = sqlalchemy.inspect(engine)
        assert "kinds" in inspector.get_table_names()
        assert inspector.has_table("kinds")
        assert not inspector.has_table("nope")
        with engine.connect() as connection:
            found = connection.execute(
                sqlalchemy.text("SELECT k FROM kinds WHERE k = :k"), {"k": 1}
            ).scalars()
            assert list(found) == [1]
            connection.commit()
    finally:
        engine.dispose()


@pytest.mark.system("mariadb")
def test_the_mariadb_command_line_works(server: RunningServer) -> None:
    done = subprocess.run(
        [
            "mariadb",
            "--skip-ssl",
            "-h127.0.0.1",
            f"-P{server.mysql_port}",
            "-uroot",
            f"-p{PASSWORD}",
            "-N",
            "-e",
            "USE d; SELECT k, n FROM kinds WHERE k = 2; SHOW TABLES LIKE 'kinds'",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2\tNULL", "kinds"]
