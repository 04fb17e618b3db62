"""A started API over an embedded StarRocks and PostgreSQL, with rows that a test puts there.

    with running_world() as world:
        world.land(declaration)
        world.get("/collections/fema_disaster_declarations/items").json()

Rows are inserted as Flink lands them, without Kafka and Flink: one version a call.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import msgspec
import pymysql

from emdata.contracts.base import Record
from emdata.contracts.identity import utc_text
from emdata.derive.starrocks import quote, raw_table
from tests.support.platform import Platform, running_platform

SERVICES = "postgres,starrocks,api"
ROWS_A_STATEMENT = 500
UNLIMITED = {"EMDATA_API_LIMITS": "off"}
"""Tests ask faster than anybody may."""


@dataclass
class World:
    """A platform whose API answers, and a client for both ends."""

    platform: Platform
    client: httpx2.Client
    _seqs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.platform.settings.api_port}"

    def get(
        self,
        path: str,
        parameters: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Return the answer to a GET; a whole address may be given, such as a link."""
        url = path if path.startswith("http") else self.url + path
        # Parameters given empty would take away those of a link.
        given = {"params": list(dict(parameters).items())} if parameters else {}
        if parameters and not isinstance(parameters, Mapping):
            given = {"params": list(parameters)}
        return self.client.get(url, headers=dict(headers or {}), **given)

    def features(
        self, path: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> list[dict[str, Any]]:
        """Return the features of all pages; fails when an answer is no page."""
        answer = self.get(path, parameters)
        found: list[dict[str, Any]] = []
        while True:
            assert answer.status_code == 200, answer.text
            body = answer.json()
            found += body["features"]
            following = [one["href"] for one in body["links"] if one["rel"] == "next"]
            if not following:
                return found
            answer = self.get(following[0])

    def land(
        self, *records: Record, accepted_at: datetime | None = None, writer: int = 1
    ) -> list[int]:
        """Insert records as accepted at an instant, now without one; returns their seqs."""
        at = accepted_at or datetime.now(UTC)
        seqs = [next(self._seqs) for _ in records]
        pairs = list(zip(records, seqs, strict=True))
        for start in range(0, len(pairs), ROWS_A_STATEMENT):
            rows = [
                _row(record, seq, writer, at)
                for record, seq in pairs[start : start + ROWS_A_STATEMENT]
            ]
            self._insert(raw_table(type(records[0])), rows)
        return seqs

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement as the platform's own user; its rows."""
        settings, credentials = self.platform.settings, self.platform.context.credentials
        with (
            pymysql.connect(
                host="127.0.0.1",
                port=settings.starrocks_mysql_port,
                user=settings.starrocks_user,
                password=credentials.starrocks_password,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, tuple(values) or None)
            return list(cursor.fetchall())

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        names = list(rows[0])
        places = f"({', '.join(['%s'] * len(names))})"
        sql = f"INSERT INTO {table} ({', '.join(map(quote, names))}) VALUES " + ", ".join(
            [places] * len(rows)
        )
        self.execute(sql, [row[name] for row in rows for name in names])


@contextmanager
def running_world(
    settings: Mapping[str, str] | None = None, only: str = SERVICES
) -> Iterator[World]:
    """A world, stopped and removed at the end."""
    with (
        running_platform(only, {**UNLIMITED, **(settings or {})}) as platform,
        httpx2.Client(timeout=60) as client,
    ):
        yield World(platform, client)


def _row(record: Record, seq: int, writer: int, at: datetime) -> dict[str, Any]:
    values = {name: _column(value) for name, value in msgspec.structs.asdict(record).items()}
    return {
        "accepted_on": at.astimezone(UTC).date(),
        "writer": writer,
        "seq": seq,
        "accepted_at": _column(at),
        "poll_id": "test",
        "record_key": record.record_key(),
        "record_version": record.version_text(),
        "content_hash": record.content_hash().hex(),
        "priority": int(record.priority()),
        "is_simulated": True,
        **values,
    }


def _column(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    return value.isoformat() if isinstance(value, date) else value
