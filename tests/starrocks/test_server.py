"""The process: logins, rights over the network, start, stop, and what its screens say."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pymysql
import pytest

from embedded_starrocks.mysql.auth import new_nonce, scramble_matches, stored_hash
from tests.starrocks.running import PASSWORD, RunningServer, environment
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("user", "password"), [("root", "wrong"), ("root", ""), ("nobody", PASSWORD), ("", "")]
)
def test_a_wrong_login_is_refused(server: RunningServer, user: str, password: str) -> None:
    with pytest.raises(pymysql.err.OperationalError) as caught:
        server.connect(user=user, password=password)
    assert caught.value.args[0] == 1045


def test_a_refused_login_ends_the_connection(server: RunningServer) -> None:
    """A client that ignores the error and sends a query all the same gets no answer."""
    with socket.create_connection(("127.0.0.1", server.mysql_port), timeout=10) as raw:
        raw.recv(4096)
        login = (0xF_A685 | 0x8_0000).to_bytes(4, "little") + (1 << 24).to_bytes(4, "little")
        login += b"\x21" + bytes(23) + b"root\0" + bytes((20,)) + b"x" * 20
        login += b"mysql_native_password\0"
        raw.sendall(len(login).to_bytes(3, "little") + b"\x01" + login)
        answer = raw.recv(4096)
        assert answer[4] == 0xFF
        assert int.from_bytes(answer[5:7], "little") == 1045
        query = b"\x03SELECT 1"
        received = b""
        try:
            raw.sendall(len(query).to_bytes(3, "little") + b"\0" + query)
            received = raw.recv(4096)
        except ConnectionError:
            pass
        assert received == b""


def test_a_scramble_proves_the_password_and_nothing_else() -> None:
    nonce = new_nonce()
    good = pymysql._auth.scramble_native_password(b"secret", nonce)
    assert scramble_matches(stored_hash("secret"), nonce, good)
    assert not scramble_matches(stored_hash("secret"), new_nonce(), good)
    assert not scramble_matches(stored_hash("secret"), nonce, b"")
    assert not scramble_matches(stored_hash("secret"), nonce, good[:19])
    assert not scramble_matches("", nonce, good)


def test_an_unknown_database_at_login_is_1049(server: RunningServer) -> None:
    with pytest.raises(pymysql.err.OperationalError) as caught:
        server.connect(database="nope")
    assert caught.value.args[0] == 1049
    assert server.query("SELECT database()", database="default_catalog.d") == [("d",)]


def test_it_says_what_it_is(server: RunningServer) -> None:
    ((comment, version, current),) = server.query(
        "SELECT @@version_comment, version(), current_version()"
    )
    assert "not StarRocks" in comment
    assert "DuckDB" in comment
    assert "SIMULATED DATA" in comment
    assert version == "8.0.33"
    assert current.startswith("3.5.")
    status, page = server.http("GET", "/", user=None)
    assert status == 200
    assert b"not StarRocks" in page
    assert b"SIMULATED DATA" in page
    status, metrics = server.http("GET", "/metrics", user=None)
    assert b"embedded_starrocks_loads_total" in metrics


def test_the_page_tells_each_user_what_it_may_know(server: RunningServer) -> None:
    server.query("CREATE TABLE IF NOT EXISTS d.shown (k INT) DUPLICATE KEY (k) COMMENT '<b>'")
    server.query("CREATE TABLE IF NOT EXISTS d.concealed (k INT) DUPLICATE KEY (k)")
    server.query("CREATE USER IF NOT EXISTS looker IDENTIFIED BY 'l'")
    server.query("GRANT SELECT ON TABLE d.shown TO USER looker")
    assert server.load("d.concealed", [{"k": 1}], label="concealed_label")["Status"] == "Success"
    assert b"concealed" not in server.http("GET", "/", user=None)[1]
    assert server.http("GET", "/details", user=None)[0] == 401
    page = server.http("GET", "/details", user=("looker", "l"))[1]
    assert b"shown" in page
    assert b"&lt;b&gt;" in page
    assert b"concealed" not in page
    assert b"concealed_label" in server.http("GET", "/details")[1]


def test_http_needs_the_password_for_data(server: RunningServer) -> None:
    for user in (None, ("root", "wrong"), ("nobody", PASSWORD)):
        for method, path in (
            ("PUT", "/api/d/t/_stream_load"),
            ("PUT", "/api/transaction/load"),
            ("POST", "/api/transaction/begin"),
            ("GET", "/api/d/get_load_state?label=x"),
        ):
            assert server.http(method, path, b"[]", user=user)[0] == 401, path


def test_a_reading_user_can_not_load(server: RunningServer) -> None:
    server.query("CREATE TABLE IF NOT EXISTS d.guarded (k INT) DUPLICATE KEY (k)")
    server.query("CREATE USER IF NOT EXISTS viewer IDENTIFIED BY 'v'")
    server.query("GRANT SELECT ON ALL TABLES IN DATABASE d TO USER 'viewer'@'%'")
    viewer = ("viewer", "v")
    _, answer = server.http(
        "PUT", "/api/d/guarded/_stream_load", b'{"k": 1}', user=viewer, format="json"
    )
    assert json.loads(answer)["Status"] == "Fail"
    _, answer = server.http(
        "POST", "/api/transaction/begin", user=viewer, label="v1", db="d", table="guarded"
    )
    assert json.loads(answer)["Status"] == "FAILED"
    options = {"user": "viewer", "password": "v"}
    assert server.query("SELECT count(*) FROM d.guarded", **options) == [(0,)]
    with pytest.raises(pymysql.err.OperationalError):
        server.query("INSERT INTO d.guarded VALUES (1)", **options)


def test_a_second_process_on_the_same_data_is_refused(server: RunningServer) -> None:
    command = server.command()
    command[command.index("--mysql-port") + 1] = "0"
    command[command.index("--http-port") + 1] = "0"
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"in use by process {server.process.pid if server.process else ''}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--memory-limit": "much"}, "--memory-limit"),
        ({"--mysql-port": "99999"}, "--mysql-port"),
        ({"--password-file": "/nonexistent/password"}, "--password-file"),
        ({"--data": "/proc/nope"}, "--data"),
        ({"--host": "203.0.113.1"}, "cannot listen"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(
    tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    server = RunningServer(tmp_path)
    command = [*server.command(), "--host", "127.0.0.1", "--memory-limit", "256MB"]
    for name, value in change.items():
        command[command.index(name) + 1] = value
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert problem in last
    assert "Traceback" not in done.stderr


def test_an_empty_password_needs_the_flag(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.password_file.write_text("\n", encoding="utf-8")
    done = subprocess.run(
        server.command(), env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "--allow-empty-password" in done.stderr


def test_sigterm_stops_within_five_seconds_with_a_checkpoint(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.start()
    server.query("CREATE DATABASE d")
    server.query("CREATE TABLE d.t (k INT NOT NULL) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    server.load("d.t", [{"k": 1}])
    idle = server.connect()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    idle.close()
    wal = server.data / "embedded_starrocks.duckdb.wal"
    assert not wal.exists() or wal.stat().st_size == 0
    server.start()
    assert server.query("SELECT k FROM d.t") == [(1,)]
    server.stop()


def test_kill_query_interrupts_a_running_query(server: RunningServer) -> None:
    server.query("CREATE TABLE IF NOT EXISTS d.many (k BIGINT) DUPLICATE KEY (k)")
    server.query("INSERT INTO d.many SELECT * FROM TABLE(generate_series(1, 30000))")
    victim = server.connect()
    number = victim.thread_id()
    codes: list[int] = []

    def run() -> None:
        with victim.cursor() as cursor:
            try:
                cursor.execute("SELECT sum(a.k % 7 + b.k % 5) FROM d.many a, d.many b")
            except pymysql.err.MySQLError as error:
                codes.append(error.args[0])

    thread = threading.Thread(target=run)
    thread.start()

    def is_running() -> bool:
        rows = server.query("SHOW PROCESSLIST")
        return any(row[0] == str(number) and "a.k % 7" in row[7] for row in rows)

    wait_for(is_running, 30, "the query to run")
    server.query(f"KILL QUERY {number}")
    thread.join(30)
    assert codes == [1317]
    with victim.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)
    victim.close()


def test_kill_query_stops_a_writing_statement_and_leaves_nothing(server: RunningServer) -> None:
    server.query("CREATE TABLE IF NOT EXISTS d.slow (k BIGINT) DUPLICATE KEY (k)")
    victim = server.connect()
    codes: list[int] = []

    def run() -> None:
        query = (
            "INSERT INTO d.slow SELECT sum(a.g % 7 + b.g % 5) FROM "
            "TABLE(generate_series(1, 60000)) a(g), TABLE(generate_series(1, 60000)) b(g)"
        )
        with victim.cursor() as cursor:
            try:
                cursor.execute(query)
            except pymysql.err.MySQLError as error:
                codes.append(error.args[0])

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(
        lambda: any("a.g % 7" in row[7] for row in server.query("SHOW PROCESSLIST")),
        30,
        "the statement to run",
    )

    def is_stopped() -> bool:
        server.query(f"KILL QUERY {victim.thread_id()}")
        thread.join(0.2)
        return not thread.is_alive()

    wait_for(is_stopped, 30, "the statement to end")
    assert codes == [1317]
    victim.close()
    assert server.query("SELECT count(*) FROM d.slow") == [(0,)]
    assert server.query("INSERT INTO d.slow VALUES (1)") == []


def test_the_connection_limit_is_told(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, "--max-connections", "2")
    server.start()
    try:
        held = [server.connect(), server.connect()]
        with pytest.raises(pymysql.err.OperationalError) as caught:
            server.connect()
        assert caught.value.args[0] == 1040
        for connection in held:
            connection.close()
    finally:
        server.stop()


def test_a_sort_larger_than_the_memory_limit_is_answered(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, "--memory-limit", "64MB")
    server.start()
    try:
        server.query("CREATE DATABASE d")
        server.query(
            "CREATE TABLE d.big DUPLICATE KEY (k) AS SELECT generate_series AS k, "
            "md5(generate_series) AS t FROM TABLE(generate_series(1, 1500000))"
        )
        rows = server.query(
            "SELECT count(*), min(n) FROM (SELECT row_number() OVER (ORDER BY t) AS n, k, t "
            "FROM d.big) x WHERE n > 0"
        )
        assert rows == [(1_500_000, 1)]
    finally:
        assert server.stop() == 0
