"""Commands and limits of the MySQL protocol that clients meet now and then."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql.connector
import pymysql
import pytest

from tests.starrocks.running import PASSWORD, RunningServer, native
from tests.support.certificate import make_certificate
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
SLOW = (
    "SELECT count(*) FROM TABLE(generate_series(1, 200000)) a(x), "
    "TABLE(generate_series(1, 200000)) b(y) WHERE a.x % 7 = b.y % 5"
)


def is_gone(connection: pymysql.Connection[Any]) -> bool:
    try:
        connection.query("SELECT 1")
    except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
        connection._force_close()  # type: ignore[attr-defined]
        return True
    return False


def thread_id(connection: pymysql.Connection[Any]) -> int:
    return int(connection.thread_id())  # type: ignore[no-untyped-call]


def test_a_query_ends_at_its_time_limit_and_says_so(server: RunningServer) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET query_timeout = 1")
        began = time.monotonic()
        with pytest.raises(pymysql.err.MySQLError, match="timeout of 1 seconds"):
            cursor.execute(SLOW)
        assert time.monotonic() - began < 15
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)


def test_a_silent_client_is_sent_away(server: RunningServer) -> None:
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET wait_timeout = 1")
    number = str(thread_id(connection))
    wait_for(
        lambda: number not in [row[0] for row in server.query("SHOW PROCESSLIST")],
        20,
        "the silent client to be gone",
    )
    wait_for(lambda: is_gone(connection), 10, "the connection to end")


def test_change_user_is_a_login(server: RunningServer) -> None:
    server.query("CREATE USER IF NOT EXISTS changer IDENTIFIED BY 'c'")
    connection = native(server)
    with connection.cursor() as cursor:
        cursor.execute("SET @x = 1")
    connection.cmd_change_user("changer", "c", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user(), @x")
        assert cursor.fetchall() == [("'changer'@'%'", None)]
    connection.cmd_change_user("root", PASSWORD, "d")
    with connection.cursor() as cursor:
        cursor.execute("SELECT database()")
        assert cursor.fetchall() == [("d",)]
    with pytest.raises(mysql.connector.Error) as caught:
        connection.cmd_change_user("root", "wrong", "")
    assert caught.value.errno == 1045
    with pytest.raises(mysql.connector.Error):
        connection.cmd_query("SELECT 1")
    connection._socket.sock.close()  # type: ignore[union-attr]


def test_process_kill_and_reset_are_commands_too(server: RunningServer) -> None:
    victim = server.connect()
    killer = native(server)
    killer.cmd_process_kill(thread_id(victim))
    wait_for(lambda: is_gone(victim), 10, "the killed connection to end")
    with killer.cursor() as cursor:
        cursor.execute("SET @x = 5")
    killer.cmd_reset_connection()
    with killer.cursor() as cursor:
        cursor.execute("SELECT @x")
        assert cursor.fetchall() == [(None,)]
    assert "Sessions" in str(killer.cmd_statistics()) or killer.is_connected()
    killer.close()


def test_a_user_holds_no_more_connections_than_allowed(server: RunningServer) -> None:
    server.query("CREATE USER few IDENTIFIED BY 'f' PROPERTIES ('max_user_connections' = '1')")
    first = server.connect(user="few", password="f")
    with pytest.raises(pymysql.err.MySQLError) as caught:
        server.connect(user="few", password="f")
    assert caught.value.args[0] == 1226
    server.query("DROP USER few")
    wait_for(lambda: is_gone(first), 10, "the dropped user's connection to end")


def test_prepared_parameters_of_every_kind(server: RunningServer) -> None:
    connection = native(server)
    values = (
        -(2**63),
        1.5,
        "text ' \\ é",
        datetime.date(2026, 11, 21),
        datetime.datetime.fromisoformat("2026-11-21T10:11:12.000345"),
        datetime.timedelta(hours=26, minutes=3, seconds=4),
        None,
        True,
    )
    with connection.cursor(prepared=True) as cursor:
        cursor.execute("SELECT ?, ?, ?, CAST(? AS DATE), CAST(? AS DATETIME), ?, ?, ?", values)
        ((n, x, s, day, at, clock, nothing, yes),) = cursor.fetchall()
    assert (n, x, s, day, at, nothing, yes) == (*values[:5], None, 1)
    assert clock == "26:03:04"
    connection.close()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("tls")
    pem, secret = make_certificate(directory)
    server = RunningServer(directory, "--tls-cert", str(pem), "--tls-key", str(secret))
    server.start()
    yield server
    assert server.stop() == 0


def test_clients_may_encrypt_and_need_not(encrypted: RunningServer) -> None:
    trusted = ssl.create_default_context(cafile=encrypted.data.parent / "cert.pem")
    with encrypted.connect(host="localhost", ssl=trusted) as connection:
        assert connection._sock.version() in ("TLSv1.2", "TLSv1.3")  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute("SELECT repeat('x', 3000000)")
            assert len(cursor.fetchall()[0][0]) == 3_000_000
    assert encrypted.query("SELECT 1", ssl_disabled=True) == [(1,)]
    with pytest.raises(pymysql.err.OperationalError) as caught:
        encrypted.connect(host="localhost", ssl=trusted, password="wrong")
    assert caught.value.args[0] == 1045


def test_a_certificate_without_its_key_is_one_clear_line(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, "--tls-cert", str(tmp_path / "none.pem"))
    done = subprocess.run(server.command(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--tls-cert and --tls-key go together" in done.stderr
