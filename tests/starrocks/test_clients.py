"""Stock clients: PyMySQL, mysql-connector-python, and the mysql command line."""

from __future__ import annotations

import datetime
import subprocess
from decimal import Decimal

import mysql.connector
import pymysql
import pytest

from tests.starrocks.running import PASSWORD, RunningServer, native

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
    connection = native(server, database="d")
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


def test_mysql_connector_uses_what_else_it_has(server: RunningServer) -> None:
    with native(server, database="d") as connection:
        connection.ping(reconnect=False)
        cursor = connection.cursor(dictionary=True)
        cursor.execute("SELECT k, s FROM kinds WHERE k = %(key)s", {"key": 2})
        assert cursor.fetchall() == [{"k": 2, "s": None}]
        assert cursor.column_names == ("k", "s")
        rows = [(30 + n, f"{n}'\\", Decimal("0.25")) for n in range(40)]
        cursor.executemany("INSERT INTO kinds (k, s, p) VALUES (%s, %s, %s)", rows)
        assert cursor.rowcount == 40
        cursor.execute("SELECT s FROM kinds WHERE k >= 30 ORDER BY k")
        assert [row["s"] for row in cursor.fetchall()] == [text for _, text, _ in rows]
        cursor.execute("DELETE FROM kinds WHERE k >= 30")
        assert cursor.rowcount == 40
        cursor.execute("SET @kept = 7")
        connection.cmd_reset_connection()
        cursor.execute("SELECT @kept AS kept, database() AS db")
        assert cursor.fetchall()[0]["kept"] is None
        connection.database = "information_schema"
        cursor.execute("SELECT database() AS db")
        assert cursor.fetchall() == [{"db": "information_schema"}]
        with pytest.raises(mysql.connector.errors.ProgrammingError) as refused:
            cursor.execute("SELECT * FROM d.nope")
        assert (refused.value.errno, refused.value.sqlstate) == (1146, "42S02")
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [{"one": 1}]
    with pytest.raises(mysql.connector.errors.ProgrammingError) as denied:
        native(server, password="wrong")
    assert (denied.value.errno, denied.value.sqlstate) == (1045, "28000")


def mariadb(
    server: RunningServer, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command line with `text` as its input."""
    login = ["--skip-ssl", "-h127.0.0.1", f"-P{server.mysql_port}", "-uroot", f"-p{PASSWORD}"]
    return subprocess.run(
        ["mariadb", *login, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.system("mariadb")
def test_the_mariadb_command_line_works(server: RunningServer) -> None:
    done = mariadb(
        server, "-N", "-e", "USE d; SELECT k, n FROM kinds WHERE k = 2; SHOW TABLES LIKE 'kinds'"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2\tNULL", "kinds"]


@pytest.mark.system("mariadb")
def test_the_mariadb_command_line_runs_a_script_and_stops_at_its_error(
    server: RunningServer,
) -> None:
    script = """
    -- A comment; with a semicolon
    CREATE TABLE scripted (k INT NOT NULL, s STRING) PRIMARY KEY (k);
    INSERT INTO scripted VALUES (1, 'a;b'), (2, 'it''s');
    DESCRIBE scripted;
    SELECT s FROM scripted ORDER BY k;
    SELECT * FROM nowhere;
    DROP TABLE scripted;
    """
    done = mariadb(server, "-N", "d", text=script)
    assert done.returncode == 1
    assert "ERROR 1146 (42S02) at line 7" in done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines[:2]] == [["k", "int"], ["s", "varchar(65533)"]]
    assert lines[2:] == ["a;b", "it's"]
    goes_on = mariadb(
        server, "-N", "--force", "d", text="SELECT * FROM nowhere; DROP TABLE scripted;"
    )
    assert "1146" in goes_on.stderr
    assert server.query("SHOW TABLES FROM d LIKE 'scripted'") == []


@pytest.mark.system("mariadb")
def test_the_mariadb_command_line_shows_tables_status_and_login_errors(
    server: RunningServer,
) -> None:
    done = mariadb(
        server, "--table", "d", text="SELECT k, n FROM kinds ORDER BY k LIMIT 1; status;"
    )
    assert done.returncode == 0, done.stderr
    assert "| 1 | -9223372036854775808 |" in [
        " ".join(line.split()) for line in done.stdout.splitlines()
    ]
    assert "Current database:" in done.stdout
    many = mariadb(server, "-N", "--quick", "-e", "SELECT * FROM TABLE(generate_series(1, 50000))")
    assert many.stdout.split() == [str(n) for n in range(1, 50_001)]
    denied = mariadb(server, "-pwrong", "-e", "SELECT 1")
    assert (denied.returncode, "1045" in denied.stderr) == (1, True)
    unknown = mariadb(server, "nowhere", "-e", "SELECT 1")
    assert (unknown.returncode, "1049" in unknown.stderr) == (1, True)
