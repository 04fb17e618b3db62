"""Results over the wire: the same bytes from a canned socket, and the MariaDB command line."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import time
from typing import Any

import pymysql

from tests.starrocks.running import PASSWORD, RunningServer

_TAIL = 9


def recorded(server: RunningServer, sql: str) -> bytes:
    """What the server sends to a client as the answer to a query."""
    with server.connect(autocommit=None) as connection:
        raw = connection._sock  # type: ignore[attr-defined]
        query = b"\x03" + sql.encode()
        raw.sendall(len(query).to_bytes(3, "little") + b"\0" + query)
        raw.settimeout(60)
        parts: list[bytes] = []
        while not _is_whole(parts):
            parts.append(raw.recv(1 << 20))
    return b"".join(parts)


def _is_whole(parts: list[bytes]) -> bool:
    """Whether the last packet is the EOF behind the rows (the second one of the answer)."""
    if not parts or sum(map(len, parts)) < 1 << 20:
        return False
    tail = b"".join(parts[-2:])[-_TAIL:]
    return tail[:3] == b"\x05\0\0" and tail[4] == 0xFE


def _serve(listening: socket.socket, answer: bytes) -> None:
    """A server that lets everybody in and gives one canned answer to each query."""
    greeting = (
        b"\x0a8.0.33\0\x01\0\0\0"
        + b"a" * 8
        + b"\0"
        + (0xF7FF & ~0x0800).to_bytes(2, "little")
        + b"\x21\x02\0"
        + (0x0008).to_bytes(2, "little")
        + b"\x15"
        + bytes(10)
        + b"b" * 12
        + b"\0mysql_native_password\0"
    )
    ok = b"\x07\0\0\x02\0\0\0\x02\0\0\0"
    while True:
        client, _ = listening.accept()
        with client:
            client.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
            client.recv(4096)
            client.sendall(ok)
            while (command := client.recv(4096)) and command[4] == 3:
                client.sendall(answer if b"SELECT" in command else ok[:3] + b"\x01" + ok[4:])


def read_seconds(port: int, password: str, sql: str, rows: int) -> float:
    """How long PyMySQL takes to read all rows."""
    connection: Any = pymysql.connect(
        host="127.0.0.1", port=port, user="root", password=password, autocommit=None
    )
    with connection, connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(sql)
        found = len(cursor.fetchall())
        seconds = time.perf_counter() - began
    if found != rows:
        raise AssertionError(f"{found} rows of {rows}")
    return seconds


class Canned:
    """The canned socket in a process of its own."""

    def __init__(self, answer: bytes) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(listening.getsockname()[1])
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_serve, args=(listening, answer), daemon=True)
        self._process.start()
        listening.close()

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def mariadb_seconds(server: RunningServer, sql: str) -> float:
    """How long the MariaDB command line takes to read a result, its start included."""
    command = [
        "mariadb",
        "--protocol=tcp",
        "--host=127.0.0.1",
        f"--port={server.mysql_port}",
        "--user=root",
        f"--password={PASSWORD}",
        "--quick",
        "--batch",
        f"--execute={sql}",
    ]
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=120)
    return time.perf_counter() - began
