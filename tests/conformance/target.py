"""The server that the cases run against: any StarRocks by URL, or a stand-in started for them."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
import uuid
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE

# Type codes of the MySQL protocol, as StarRocks sends them.
TYPE_CODES = {
    "BOOLEAN": FIELD_TYPE.TINY,
    "TINYINT": FIELD_TYPE.TINY,
    "SMALLINT": FIELD_TYPE.SHORT,
    "INT": FIELD_TYPE.LONG,
    "BIGINT": FIELD_TYPE.LONGLONG,
    "LARGEINT": FIELD_TYPE.STRING,
    "FLOAT": FIELD_TYPE.FLOAT,
    "DOUBLE": FIELD_TYPE.DOUBLE,
    "DECIMAL": FIELD_TYPE.NEWDECIMAL,
    "DATE": FIELD_TYPE.DATE,
    "DATETIME": FIELD_TYPE.DATETIME,
    "VARCHAR": FIELD_TYPE.VAR_STRING,
}
FLOATING = (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE)


class Answer:
    """What a statement gave: rows as text, type codes, affected rows."""

    def __init__(
        self, rows: list[list[str | None]], codes: list[int], names: list[str], affected: int
    ) -> None:
        self.rows = rows
        self.codes = codes
        self.names = names
        self.affected = affected


class Target:
    """One server under test, with one connection for SQL.

    `url` is mysql://user:password@host:9030?http=8030.
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        options = urllib.parse.parse_qs(parts.query)
        if parts.scheme != "mysql" or not parts.hostname or not parts.port:
            raise ValueError(f"not of the form mysql://user:password@host:9030?http=8030: {url}")
        self.host = parts.hostname
        self.mysql_port = parts.port
        self.http_port = int(options.get("http", ["8030"])[0])
        self.user = urllib.parse.unquote(parts.username or "root")
        self.password = urllib.parse.unquote(parts.password or "")
        self._connection = self._connect()
        comment = self.run("SELECT @@version_comment").rows[0][0] or ""
        self.is_stand_in = "embedded StarRocks" in comment

    def _connect(self) -> pymysql.Connection[Any]:
        # No decoders: values stay the text that the server sent.
        return pymysql.connect(
            host=self.host, port=self.mysql_port, user=self.user, password=self.password,
            autocommit=True, conv={},
        )  # fmt: skip

    def use_new_database(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} FORCE")
        self.run(f"CREATE DATABASE {name}")
        self.use(name)

    def use(self, name: str) -> None:
        self.run(f"USE {name}")

    def run(self, sql: str) -> Answer:
        """One statement. Raises pymysql.Error for what the server refuses."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            described = cursor.description or ()
            rows = [[_text(value) for value in row] for row in cursor.fetchall()]
            return Answer(
                rows,
                [int(column[1] or 0) for column in described],
                [str(column[0]) for column in described],
                cursor.rowcount,
            )

    def request(
        self, method: str, path: str, headers: dict[str, str], body: str
    ) -> tuple[int, dict[str, Any]]:
        """One request of a load; follows the redirect of a front end to a back end."""
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        sent = {**headers, "Authorization": f"Basic {token}", "Expect": "100-continue"}
        host, port = self.host, self.http_port
        for _ in range(3):
            connection = http.client.HTTPConnection(host, port, timeout=30)
            try:
                connection.request(method, path, body.encode(), sent)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if answer.status not in (301, 302, 307):
                return answer.status, _decoded(content)
            parts = urllib.parse.urlsplit(answer.headers["Location"])
            host, port = parts.hostname or host, parts.port or port
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        raise AssertionError(f"{method} {path}: more than two redirects")

    def close(self) -> None:
        self._connection.close()


def unique_label() -> str:
    return f"conformance_{uuid.uuid4().hex}"


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {"text": content.decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"text": found}
