"""Applying the log to PostgreSQL: each COMMIT frame whole and once, by its poll id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, bindparam
from sqlalchemy.dialects.postgresql import JSONB, Insert, distinct_on, insert
from sqlalchemy.sql.dml import ReturningInsert

from emdata.commits import Commit, Dead, SeenUpdate
from emdata.contracts.identity import HASH_BYTES
from emdata.state.database import transaction
from emdata.state.redrives import RedriveFrame, is_redrive
from emdata.state.tables import (
    cursors,
    dead_letters,
    poll_datasets,
    polls,
    requests,
    seen,
)

CHUNK = 2000


def instant(text: str) -> datetime:
    """Read a UTC text of the log as an aware datetime."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def apply_commit(engine: Engine, commit: Commit) -> bool:
    """Apply one COMMIT frame; returns False when it had been applied before.

    Raises StateUnavailable when PostgreSQL is away.
    """
    with transaction(engine) as connection:
        if is_redrive(commit):
            return _apply_redrive(connection, RedriveFrame(connection, commit))
        return bool(_apply_polls(connection, [commit]))


def apply_commits(engine: Engine, commits: Sequence[Commit]) -> None:
    """Apply COMMIT frames of one writer, none of them a re-drive's, in one transaction.

    Raises StateUnavailable when PostgreSQL is away; then, and when one is refused, none is applied.
    """
    with transaction(engine) as connection:
        _apply_polls(connection, commits)


def _apply_polls(connection: Connection, commits: Sequence[Commit]) -> list[Commit]:
    """Apply frames that are new, in order; returns them."""
    waiting = {commit.poll_id: commit for commit in commits}
    rows = [_poll_row(commit) for commit in waiting.values()]
    new = {str(row[0]) for row in connection.execute(_insert_polls(), rows)}
    news = [commit for poll_id, commit in waiting.items() if poll_id in new]
    _insert_datasets(connection, news)
    _upsert_seen(connection, news)
    for commit in news:
        _upsert_deads(connection, commit.writer, commit.deads)
    _move_cursors(connection, news)
    for commit in news:
        _finish_requests(connection, commit)
    return news


def _apply_redrive(connection: Connection, frame: RedriveFrame) -> bool:
    """Apply a re-drive: its letters stay the ones that are there, whatever became of them."""
    row = _poll_row(frame.commit, frame.hour)
    if connection.execute(_insert_polls(), [row]).first() is None:
        return False
    _insert_datasets(connection, [frame.commit])
    # An older version that comes late is kept as history; what is compared with stays the newest.
    is_newest = sa.or_(
        seen.c.version.is_(None), insert(seen).excluded.version >= seen.c.version.collate("C")
    )
    _upsert_seen(connection, [frame.commit], _seen_statement(is_newest))
    frame.settle(instant(frame.commit.finished_at))
    return True


def apply_dead(engine: Engine, writer: int, dead: Dead) -> None:
    """Store one record that died after its acceptance; idempotent by its id.

    Raises StateUnavailable when PostgreSQL is away.
    """
    with transaction(engine) as connection:
        statement = insert(dead_letters).values(_dead_row(writer, dead))
        connection.execute(statement.on_conflict_do_nothing())


@lru_cache(maxsize=1)
def _insert_polls() -> ReturningInsert[Any]:
    return insert(polls).on_conflict_do_nothing().returning(polls.c.poll_id)


def _poll_row(commit: Commit, hour: datetime | None = None) -> dict[str, Any]:
    finished = instant(commit.finished_at)
    return {
        "poll_id": commit.poll_id,
        "writer": commit.writer,
        "stream": commit.stream,
        "source": commit.source,
        "started_at": instant(commit.started_at),
        "finished_at": finished,
        "hour": hour or finished.replace(minute=0, second=0, microsecond=0),
        "outcome": commit.outcome,
        "error_class": commit.error_class,
        "error": _storable(commit.error),
        "is_complete": commit.is_complete,
        "documents": commit.documents,
        "bytes": commit.bytes,
        "rows": commit.rows,
        "rows_ignored": commit.rows_ignored,
        "rows_rejected": commit.rows_rejected,
        "rows_parsed": commit.rows_parsed,
        "raw_documents": commit.raw_documents,
    }


def _insert_datasets(connection: Connection, commits: Sequence[Commit]) -> None:
    rows = [
        {
            "poll_id": commit.poll_id,
            "dataset": dataset,
            "writer": commit.writer,
            "records": counts.records,
            "unchanged": counts.unchanged,
            "rejected": counts.rejected,
            "deferred": counts.deferred,
            "accepted": counts.accepted,
            "first_seq": counts.first_seq,
            "last_seq": counts.last_seq,
            "newest_event_at": counts.newest_event_at and instant(counts.newest_event_at),
        }
        for commit in commits
        for dataset, counts in commit.datasets.items()
    ]
    if rows:
        connection.execute(insert(poll_datasets), rows)


@lru_cache(maxsize=1)
def _seen_anyhow() -> Insert:
    return _seen_statement(sa.true())


def _seen_statement(condition: sa.ColumnElement[bool]) -> Insert:
    # Hashes come joined and versions as one JSON text: one statement a chunk, and hardly a cost a
    # row. A key that occurs twice is stored as it was last.
    place = sa.func.generate_series(0, sa.bindparam("last", type_=sa.Integer)).column_valued(
        "place"
    )
    key_hash = sa.func.substr(
        sa.bindparam("keys", type_=sa.LargeBinary), place * HASH_BYTES + 1, HASH_BYTES
    )
    content_hash = sa.func.substr(
        sa.bindparam("contents", type_=sa.LargeBinary), place * HASH_BYTES + 1, HASH_BYTES
    )
    seq = sa.cast(sa.bindparam("seqs", type_=JSONB)[place].as_string(), sa.BigInteger)
    rows = (
        sa.select(
            sa.bindparam("in_dataset", type_=sa.Text),
            key_hash,
            content_hash,
            sa.bindparam("versions", type_=JSONB)[place].as_string(),
            sa.bindparam("by_writer", type_=sa.Integer),
            seq,
        )
        .ext(distinct_on(key_hash))
        .order_by(key_hash, seq.desc())
    )
    columns = ["dataset", "key_hash", "content_hash", "version", "writer", "seq"]
    statement = insert(seen).from_select(columns, rows)
    return statement.on_conflict_do_update(
        index_elements=[seen.c.dataset, seen.c.key_hash],
        set_={
            name: statement.excluded[name] for name in ("content_hash", "version", "writer", "seq")
        },
        # A poll that ended without its frame is applied behind newer ones.
        where=sa.and_(
            (seen.c.writer != statement.excluded.writer) | (seen.c.seq < statement.excluded.seq),
            condition,
        ),
    )


def _upsert_seen(
    connection: Connection, commits: Sequence[Commit], statement: Insert | None = None
) -> None:
    # What several polls saw of a dataset goes in one statement: the newest of a key is the one
    # with the highest number.
    by_dataset: dict[tuple[str, int], list[SeenUpdate]] = {}
    for commit in commits:
        for dataset, updates in commit.seen.items():
            by_dataset.setdefault((dataset, commit.writer), []).extend(updates)
    for (dataset, writer), updates in by_dataset.items():
        for chunk in _chunks(updates):
            connection.execute(
                _seen_anyhow() if statement is None else statement,
                {
                    "in_dataset": dataset,
                    "by_writer": writer,
                    "last": len(chunk) - 1,
                    "keys": b"".join(update.key_hash for update in chunk),
                    "contents": b"".join(update.content_hash for update in chunk),
                    "versions": [update.version for update in chunk],
                    "seqs": [update.seq for update in chunk],
                },
            )


def _upsert_deads(connection: Connection, writer: int, deads: Sequence[Dead]) -> None:
    if not deads:
        return
    statement = insert(dead_letters)
    # What was driven again and is rejected once more is a letter of the newer poll.
    is_back = dead_letters.c.state == "redriven"
    statement = statement.on_conflict_do_update(
        index_elements=[dead_letters.c.id],
        set_={
            "occurrences": dead_letters.c.occurrences + statement.excluded.occurrences,
            "last_at": statement.excluded.last_at,
            "last_poll_id": statement.excluded.last_poll_id,
            "reason": statement.excluded.reason,
            "state": sa.case((is_back, "open"), else_=dead_letters.c.state),
            "poll_id": sa.case((is_back, statement.excluded.poll_id), else_=dead_letters.c.poll_id),
            "closed_at": sa.case((is_back, None), else_=dead_letters.c.closed_at),
        },
    )
    connection.execute(statement, [_dead_row(writer, dead) for dead in deads])


def _dead_row(writer: int, dead: Dead) -> dict[str, Any]:
    return {
        "id": dead.id,
        "writer": writer,
        "stream": dead.stream,
        "dataset": dead.dataset,
        "seq": dead.seq,
        "poll_id": dead.poll_id,
        "last_poll_id": dead.poll_id,
        # What died after its acceptance was whole: it goes as it is once Kafka takes it.
        "class": "permanent" if dead.seq is None else "transient",
        "cause": dead.cause,
        "reason": _storable(dead.reason),
        "payload": dead.payload,
        "occurrences": dead.occurrences,
        "first_at": instant(dead.at),
        "last_at": instant(dead.at),
    }


def _move_cursors(connection: Connection, commits: Sequence[Commit]) -> None:
    last = {commit.stream: commit for commit in commits if commit.cursor is not None}
    if not last:
        return
    statement = insert(cursors)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[cursors.c.stream],
            set_={name: statement.excluded[name] for name in ("cursor", "poll_id", "committed_at")},
        ),
        [
            {
                "stream": stream,
                "cursor": commit.cursor,
                "poll_id": commit.poll_id,
                "committed_at": instant(commit.finished_at),
            }
            for stream, commit in last.items()
        ],
    )


def _finish_requests(connection: Connection, commit: Commit) -> None:
    if not commit.request_ids:
        return
    connection.execute(
        requests.update()
        .where(requests.c.id == bindparam("request"))
        .values(
            finished_at=instant(commit.finished_at),
            poll_id=commit.poll_id,
            outcome=commit.outcome,
            error=_storable(commit.error),
        ),
        [{"request": request} for request in commit.request_ids],
    )
    connection.execute(sa.text("NOTIFY emdata_answers"))


def _storable(text: str | None) -> str | None:
    # PostgreSQL's text has no NUL and no lone surrogate; a source's bytes may hold both.
    if text is None:
        return None
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _chunks(updates: list[SeenUpdate]) -> Iterator[list[SeenUpdate]]:
    for start in range(0, len(updates), CHUNK):
        yield updates[start : start + CHUNK]
