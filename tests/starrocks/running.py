"""An embedded StarRocks in a process of its own, and small clients for it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql.connector
import pymysql

from tests.support.ports import free_ports
from tests.support.waiting import wait_for

PASSWORD = "correct horse"
REPOSITORY = Path(__file__).resolve().parents[2]


class RunningServer:
    """One server process over one data directory; it can be killed and started again."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.data = directory / "data"
        self.password_file = directory / "password"
        self.password_file.write_text(PASSWORD + "\n", encoding="utf-8")
        self.log = directory / "server.log"
        self.mysql_port, self.http_port = free_ports(2)
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "embedded_starrocks",
            "--data",
            str(self.data),
            "--password-file",
            str(self.password_file),
            "--mysql-port",
            str(self.mysql_port),
            "--http-port",
            str(self.http_port),
            *self._arguments,
        ]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env=environment(), cwd=self.data.parent
            )
        wait_for(self._answers, 60, "the embedded StarRocks")

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log.read_text()}")
        try:
            return self.http("GET", "/api/health")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL: no chance to write anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    # Clients

    def connect(self, **changes: Any) -> pymysql.Connection[Any]:
        options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.mysql_port,
            "user": "root",
            "password": PASSWORD,
            "autocommit": True,
            **changes,
        }
        return pymysql.connect(**options)

    def query(self, sql: str, **changes: Any) -> list[tuple[Any, ...]]:
        with self.connect(**changes) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def http(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        user: tuple[str, str] | None = ("root", PASSWORD),
        **headers: str,
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        if user is not None:
            token = base64.b64encode(":".join(user).encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        try:
            # A server may answer, and close, before it has read a body that it refuses.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def load(self, table: str, rows: object, **headers: str) -> dict[str, Any]:
        """Stream load of JSON rows into `db.table`; the answer."""
        db, name = table.split(".")
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        options = {"format": "json", "strip_outer_array": "true", **headers}
        status, answer = self.http("PUT", f"/api/{db}/{name}/_stream_load", body, **options)
        assert status == 200, answer
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def transaction(
        self, operation: str, label: str, table: str = "d.t", rows: object = None
    ) -> dict[str, Any]:
        """One request of the transaction API."""
        db, name = table.split(".")
        headers = {"label": label, "db": db, "table": name}
        body = None
        if operation == "load":
            headers |= {"format": "json", "strip_outer_array": "true"}
            body = json.dumps(rows).encode()
        method = "PUT" if operation == "load" else "POST"
        _, answer = self.http(method, f"/api/transaction/{operation}", body, **headers)
        decoded: dict[str, Any] = json.loads(answer)
        return decoded


@contextlib.contextmanager
def running_server(directory: Path, *arguments: str) -> Iterator[RunningServer]:
    """A started server, killed at the end of the block if it still runs then."""
    server = RunningServer(directory, *arguments)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()


def environment() -> dict[str, str]:
    """The environment of a server: it must find the package also where it is not installed."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "starrocks")}


def native(server: RunningServer, **changes: object) -> mysql.connector.MySQLConnection:
    """A connection of mysql-connector's own Python code, as root unless ``changes`` say else."""
    options = {
        "host": "127.0.0.1",
        "port": server.mysql_port,
        "user": "root",
        "password": PASSWORD,
        "use_pure": True,
        **changes,
    }
    connection = mysql.connector.connect(**options)
    assert isinstance(connection, mysql.connector.MySQLConnection)
    return connection
