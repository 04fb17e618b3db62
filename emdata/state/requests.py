"""Asking the stream manager: a row in ``requests`` and a NOTIFY that wakes it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.state.database import transaction
from emdata.state.tables import requests

ASK_CHANNEL = "emdata_requests"
ANSWER_CHANNEL = "emdata_answers"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: kind is ``poll``, ``backfill`` (arguments ``since`` and ``until``) or
    ``redrive`` (of the stream ``writer-<n>``; arguments ``ids`` of dead letters and ``by``)."""

    id: int
    stream: str
    kind: str
    arguments: dict[str, Any]
    outcome: str | None = None
    poll_id: str | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the manager has answered."""
        return self.outcome is not None


def ask_polls(
    engine: Engine,
    streams: Iterable[str],
    requested_by: str,
    *,
    kind: str = "poll",
    arguments: dict[str, Any] | None = None,
) -> list[int]:
    """Ask for one poll a stream; returns the request ids in order.

    Raises StateUnavailable when PostgreSQL is away.
    """
    ids = []
    with transaction(engine) as connection:
        for stream in streams:
            row = connection.execute(
                requests.insert()
                .values(
                    stream=stream,
                    kind=kind,
                    arguments=arguments or {},
                    requested_by=requested_by,
                    requested_at=datetime.now(UTC),
                )
                .returning(requests.c.id)
            )
            ids.append(int(row.scalar_one()))
        connection.execute(sa.text(f"NOTIFY {ASK_CHANNEL}"))
    return ids


def open_requests(engine: Engine) -> list[Request]:
    """Return the unanswered requests, oldest first."""
    return _select(engine, requests.c.finished_at.is_(None))


def answers(engine: Engine, ids: Sequence[int]) -> list[Request]:
    """Return the named requests as they stand."""
    return _select(engine, requests.c.id.in_(ids))


def answer(
    engine: Engine, request_id: int, outcome: str, *, result: dict[str, Any], error: str | None
) -> None:
    """Answer a request that no COMMIT frame will answer."""
    with transaction(engine) as connection:
        connection.execute(
            requests.update()
            .where(requests.c.id == request_id)
            .values(finished_at=datetime.now(UTC), outcome=outcome, result=result, error=error)
        )
        connection.execute(sa.text(f"NOTIFY {ANSWER_CHANNEL}"))


def refuse(engine: Engine, ids: Sequence[int], error: str) -> None:
    """Answer requests that cannot be served, such as for an unknown stream."""
    with transaction(engine) as connection:
        connection.execute(
            requests.update()
            .where(requests.c.id.in_(ids))
            .values(finished_at=datetime.now(UTC), outcome="failed", error=error)
        )
        connection.execute(sa.text(f"NOTIFY {ANSWER_CHANNEL}"))


def wait_for(engine: Engine, ids: Sequence[int], deadline: float) -> list[Request]:
    """Wait at most ``deadline`` seconds until all requests are answered; returns them.

    Unanswered ones come back with outcome None.
    """
    until = time.monotonic() + deadline
    with psycopg.connect(_conninfo(engine), autocommit=True, connect_timeout=5) as listener:
        listener.execute(f"LISTEN {ANSWER_CHANNEL}")
        while True:
            rows = answers(engine, ids)
            left = until - time.monotonic()
            if left <= 0 or all(row.is_done for row in rows):
                return rows
            for _ in listener.notifies(timeout=min(left, 5.0), stop_after=1):
                pass


def _conninfo(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _select(engine: Engine, condition: sa.ColumnElement[bool]) -> list[Request]:
    columns = requests.c
    query = (
        sa.select(
            columns.id,
            columns.stream,
            columns.kind,
            columns.arguments,
            columns.outcome,
            columns.poll_id,
            columns.error,
            columns.result,
        )
        .where(condition)
        .order_by(columns.id)
    )
    with transaction(engine) as connection:
        return [Request(**row) for row in connection.execute(query).mappings()]
