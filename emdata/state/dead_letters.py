"""Dead letters: found, shown, claimed for a re-drive, dropped; every act leaves a row of history.

A manager drives its own letters, and those of clients in degraded mode, which have numbers of
their own and no process that waits for a mended parser. What one manager has claimed it gives back
or ends itself.

States: ``open`` waits; ``redriving`` is being tried; ``redriven`` was taken; ``dropped`` was given
up by somebody. A letter's gate is the code, or the topic's settings, under which it failed last: an
automatic re-drive tries it again only under another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from emdata.state.clients import FIRST_CLIENT
from emdata.state.database import transaction
from emdata.state.stream_code import code_at
from emdata.state.tables import dead_letter_attempts, dead_letters, polls, stream_code

STATES = ("open", "redriving", "redriven", "dropped")
CLASSES = ("transient", "permanent")
_SUMMARY = (
    "id", "writer", "stream", "dataset", "seq", "poll_id", "last_poll_id", "cause", "reason",
    "class", "state", "occurrences", "attempts", "first_at", "last_at", "last_attempt_at",
    "gate", "closed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters: every value given must match; ids are whole or unique beginnings."""

    ids: tuple[str, ...] = ()
    cause: str | None = None
    error_class: str | None = None
    stream: str | None = None
    dataset: str | None = None
    states: tuple[str, ...] = ()
    before: datetime | None = None
    since: datetime | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """Return the WHERE condition."""
        columns = dead_letters.c
        found: list[sa.ColumnElement[bool]] = [sa.true()]
        if self.ids:
            found.append(sa.or_(*(columns.id.startswith(one, autoescape=True) for one in self.ids)))
        for column, value in (
            (columns.cause, self.cause),
            (columns["class"], self.error_class),
            (columns.stream, self.stream),
            (columns.dataset, self.dataset),
        ):
            if value is not None:
                found.append(column == value)
        if self.states:
            found.append(columns.state.in_(self.states))
        if self.before is not None:
            found.append(columns.last_at < self.before)
        if self.since is not None:
            found.append(columns.last_at >= self.since)
        return sa.and_(*found)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a re-drive needs of a letter; hour is that of its poll, raw_documents its documents.

    dataset None: a row that was rejected before it was parsed. seq: died after its acceptance.
    """

    id: str
    writer: int
    stream: str
    dataset: str | None
    seq: int | None
    poll_id: str
    cause: str
    reason: str
    payload: bytes
    first_at: datetime
    last_at: datetime
    gate: str | None
    hour: datetime | None
    source: str | None
    raw_documents: tuple[str, ...]


def find_letters(engine: Engine, wanted: Filter, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return letters without their bytes (``bytes`` says how many), newest first."""
    size = sa.func.length(dead_letters.c.payload).label("bytes")
    query = (
        sa.select(*(dead_letters.c[name] for name in _SUMMARY), size)
        .where(wanted.condition())
        .order_by(dead_letters.c.last_at.desc(), dead_letters.c.id)
        .limit(limit)
    )
    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def count_letters(engine: Engine) -> list[dict[str, Any]]:
    """Return the waiting letters by stream, dataset, cause and class, most first."""
    columns = dead_letters.c
    groups = (columns.stream, columns.dataset, columns.cause, columns["class"])
    query = (
        sa.select(
            *groups,
            sa.func.count().label("letters"),
            sa.func.sum(columns.occurrences).label("occurrences"),
            sa.func.min(columns.first_at).label("first_at"),
            sa.func.max(columns.last_at).label("last_at"),
        )
        .where(columns.state.in_(("open", "redriving")))
        .group_by(*groups)
        .order_by(sa.desc("letters"), columns.stream)
    )
    with transaction(engine) as connection:
        return [
            {**row, "occurrences": int(row["occurrences"])}
            for row in connection.execute(query).mappings()
        ]


def show_letter(engine: Engine, letter_id: str) -> list[dict[str, Any]]:
    """Return the letters whose id begins so (two at most), with bytes, history and known code."""
    query = (
        sa.select(dead_letters)
        .where(dead_letters.c.id.startswith(letter_id, autoescape=True))
        .order_by(dead_letters.c.id)
        .limit(2)
    )
    with transaction(engine) as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
        for letter in found:
            letter["payload"] = bytes(letter["payload"])
            letter["code"] = code_at(connection, letter["stream"], letter["last_at"])
            letter["history"] = _history(connection, letter["id"])
    return found


def _history(connection: Connection, letter_id: str) -> list[dict[str, Any]]:
    columns = dead_letter_attempts.c
    query = (
        sa.select(
            columns.at, columns.action, columns.by, columns.outcome,
            columns.reason, columns.poll_id, columns.gate,
        )
        .where(columns.letter_id == letter_id)
        .order_by(columns.id)
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]


def drop_letters(engine: Engine, ids: Sequence[str], *, by: str, why: str, now: datetime) -> int:
    """Give open letters up; their bytes and history stay. Returns how many were open."""
    with transaction(engine) as connection:
        dropped: list[str] = list(
            connection.execute(
                dead_letters.update()
                .where(dead_letters.c.id.in_(ids), dead_letters.c.state == "open")
                .values(state="dropped", closed_at=now)
                .returning(dead_letters.c.id)
            ).scalars()
        )
        _note(connection, dropped, action="drop", at=now, by=by, outcome="dropped", reason=why)
    return len(dropped)


def claim(
    engine: Engine,
    ids: Sequence[str],
    *,
    writer: int,
    by: str,
    now: datetime,
    max_attempts: int,
) -> list[Letter]:
    """Take open letters of a manager or of clients for a re-drive and count the attempt.

    writer: the manager's. Letters that are no longer open, or were tried ``max_attempts`` times,
    are left out. A letter that this manager sent and never saw confirmed is taken again.
    """
    columns = dead_letters.c
    with transaction(engine) as connection:
        taken: list[str] = list(
            connection.execute(
                dead_letters.update()
                .where(
                    columns.id.in_(ids),
                    _may_drive(writer),
                    columns.attempts < max_attempts,
                    (columns.state == "open") | _unconfirmed(writer),
                )
                .values(
                    state="redriving",
                    attempts=columns.attempts + 1,
                    last_attempt_at=now,
                    driver=writer,
                )
                .returning(columns.id)
            ).scalars()
        )
        _note(connection, taken, action="redrive", at=now, by=by)
        return _letters(connection, columns.id.in_(taken))


def plan(engine: Engine, ids: Sequence[str], *, poll_id: str) -> None:
    """Write under which poll the claimed letters are driven; their COMMIT frame settles them."""
    with transaction(engine) as connection:
        connection.execute(
            dead_letter_attempts.update()
            .where(
                dead_letter_attempts.c.letter_id.in_(ids),
                dead_letter_attempts.c.outcome.is_(None),
            )
            .values(poll_id=poll_id)
        )


def end_attempt(
    engine: Engine,
    letter_id: str,
    *,
    state: str,
    outcome: str,
    reason: str,
    gate: str | None,
    now: datetime,
    is_counted: bool = True,
) -> None:
    """Write how a letter's attempt ended that no COMMIT frame will settle."""
    values: dict[str, Any] = {"state": state}
    if gate is not None:
        values["gate"] = gate
    if state in ("redriven", "dropped"):
        values["closed_at"] = now
    if not is_counted:
        values["attempts"] = dead_letters.c.attempts - 1
    with transaction(engine) as connection:
        connection.execute(
            dead_letters.update().where(dead_letters.c.id == letter_id).values(values)
        )
        connection.execute(
            dead_letter_attempts.update()
            .where(
                dead_letter_attempts.c.letter_id == letter_id,
                dead_letter_attempts.c.outcome.is_(None),
            )
            .values(outcome=outcome, reason=reason[:4000], gate=gate)
        )


def close_gate(engine: Engine, ids: Sequence[str], gate: str) -> None:
    """Note that letters need not be tried under ``gate``: one of their kind failed under it."""
    with transaction(engine) as connection:
        connection.execute(
            dead_letters.update()
            .where(dead_letters.c.id.in_(ids), dead_letters.c.state == "open")
            .values(gate=gate)
        )


def give_back(engine: Engine, writer: int, ids: Sequence[str] | None = None) -> int:
    """Open again what a manager claimed and never put into its log: the named letters, or all.

    All only when everything of the log is applied, as at a start. Records that had been accepted
    before stay ``redriving``: they may be on their way.
    """
    columns = dead_letters.c
    with transaction(engine) as connection:
        left: list[str] = list(
            connection.execute(
                dead_letters.update()
                .where(
                    _is_driven_by(writer),
                    columns.state == "redriving",
                    columns.seq.is_(None),
                    sa.true() if ids is None else columns.id.in_(ids),
                )
                .values(state="open", attempts=columns.attempts - 1)
                .returning(columns.id)
            ).scalars()
        )
        connection.execute(
            dead_letter_attempts.update()
            .where(
                dead_letter_attempts.c.letter_id.in_(left),
                dead_letter_attempts.c.outcome.is_(None),
            )
            .values(outcome="interrupted", reason="the re-drive never reached the log")
        )
    return len(left)


def waiting(
    engine: Engine, writer: int, *, max_attempts: int, limit: int, only_unconfirmed: bool = False
) -> list[dict[str, Any]]:
    """Return the letters that a manager may try, oldest first; writer: the manager's.

    Each has id, stream, dataset, cause, reason, bytes, state, is_accepted (died after its
    acceptance) and the gate of its last failure (None: unknown). ``only_unconfirmed``: those that
    were sent again and not confirmed.
    """
    columns = dead_letters.c
    unconfirmed = _unconfirmed(writer)
    code = (
        sa.select(stream_code.c.code)
        .where(stream_code.c.stream == columns.stream, stream_code.c.since <= columns.last_at)
        .order_by(stream_code.c.since.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(
            columns.id, columns.stream, columns.dataset, columns.cause, columns.state,
            sa.func.left(columns.reason, 300).label("reason"),
            columns.seq.is_not(None).label("is_accepted"),
            sa.func.length(columns.payload).label("bytes"),
            sa.case((columns.seq.is_not(None), columns.gate), else_=sa.func.coalesce(
                columns.gate, code)).label("gate"),
        )
        .where(
            _may_drive(writer),
            columns.attempts < max_attempts,
            unconfirmed if only_unconfirmed else (columns.state == "open") | unconfirmed,
        )
        .order_by(columns.first_at, columns.id)
        .limit(limit)
    )  # fmt: skip
    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def outcome_of(engine: Engine, poll_id: str, letter_id: str) -> str | None:
    """Return how a re-drive's COMMIT frame settled a letter; None before it is applied."""
    columns = dead_letter_attempts.c
    query = sa.select(columns.outcome).where(
        columns.poll_id == poll_id, columns.letter_id == letter_id
    )
    with transaction(engine) as connection:
        found = connection.execute(query).scalar()
    return None if found is None else str(found)


def _may_drive(writer: int) -> sa.ColumnElement[bool]:
    """Its own letters, and those of clients."""
    return (dead_letters.c.writer == writer) | (dead_letters.c.writer >= FIRST_CLIENT)


def _is_driven_by(writer: int) -> sa.ColumnElement[bool]:
    """What a manager claimed; letters from before this was written down are their writer's."""
    return sa.func.coalesce(dead_letters.c.driver, dead_letters.c.writer) == writer


def _unconfirmed(writer: int) -> sa.ColumnElement[bool]:
    """What a manager sent under its old number and never saw confirmed."""
    columns = dead_letters.c
    return (columns.state == "redriving") & columns.seq.is_not(None) & _is_driven_by(writer)


def _letters(connection: Connection, condition: sa.ColumnElement[bool]) -> list[Letter]:
    columns = dead_letters.c
    query = (
        sa.select(
            columns.id, columns.writer, columns.stream, columns.dataset, columns.seq,
            columns.poll_id, columns.cause, columns.reason, columns.payload, columns.first_at,
            columns.last_at, columns.gate, polls.c.hour, polls.c.source, polls.c.raw_documents,
        )
        .outerjoin(polls, polls.c.poll_id == columns.poll_id)
        .where(condition)
        .order_by(columns.first_at, columns.id)
    )  # fmt: skip
    return [
        Letter(
            **{
                **row,
                "payload": bytes(row["payload"]),
                "raw_documents": tuple(row["raw_documents"] or ()),
            }
        )
        for row in connection.execute(query).mappings()
    ]


def _note(connection: Connection, ids: Sequence[str], **values: Any) -> None:
    if ids:
        connection.execute(
            dead_letter_attempts.insert(), [{"letter_id": one, **values} for one in ids]
        )
