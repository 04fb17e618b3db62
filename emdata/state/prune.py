"""Removing polls that are settled and old; the hours keep what they counted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from emdata.state.database import transaction

# Kept whatever their age: what has not landed, what a waiting dead letter may still be moved in,
# and what says how fresh a stream is (its last poll of each outcome, its newest event).
_OLD = sa.text("""
    SELECT poll_id FROM polls p
    WHERE finished_at < :before
      AND NOT EXISTS (
        SELECT FROM poll_datasets d
        LEFT JOIN landed l ON l.writer = d.writer AND l.dataset = d.dataset
        WHERE d.poll_id = p.poll_id AND d.last_seq > coalesce(l.settled_seq, 0))
      AND NOT EXISTS (
        SELECT FROM dead_letters x
        WHERE x.poll_id = p.poll_id AND x.state IN ('open', 'redriving'))
      AND poll_id NOT IN (
        SELECT DISTINCT ON (stream, outcome) poll_id FROM polls
        ORDER BY stream, outcome, finished_at DESC, poll_id)
      AND poll_id NOT IN (
        SELECT DISTINCT ON (q.stream, d.dataset) q.poll_id
        FROM polls q JOIN poll_datasets d ON d.poll_id = q.poll_id
        WHERE d.newest_event_at IS NOT NULL
        ORDER BY q.stream, d.dataset, d.newest_event_at DESC, q.poll_id)
    ORDER BY finished_at, poll_id
    LIMIT :limit
    FOR UPDATE OF p SKIP LOCKED
""")
_SUM_POLLS = sa.text("""
    INSERT INTO ledger_hours AS h
        (hour, source, dataset, polls, rows, rows_ignored, rows_rejected, rows_parsed)
    SELECT hour, source, '', count(*), sum(rows), sum(rows_ignored), sum(rows_rejected),
        sum(rows_parsed)
    FROM polls WHERE poll_id = ANY(:ids) GROUP BY hour, source
    ON CONFLICT (hour, source, dataset) DO UPDATE SET
        polls = h.polls + excluded.polls, rows = h.rows + excluded.rows,
        rows_ignored = h.rows_ignored + excluded.rows_ignored,
        rows_rejected = h.rows_rejected + excluded.rows_rejected,
        rows_parsed = h.rows_parsed + excluded.rows_parsed
""")
_SUM_DATASETS = sa.text("""
    INSERT INTO ledger_hours AS h
        (hour, source, dataset, polls, records, unchanged, rejected, deferred, accepted)
    SELECT p.hour, p.source, d.dataset, count(*), sum(d.records), sum(d.unchanged),
        sum(d.rejected), sum(d.deferred), sum(d.accepted)
    FROM polls p JOIN poll_datasets d ON d.poll_id = p.poll_id
    WHERE p.poll_id = ANY(:ids) GROUP BY p.hour, p.source, d.dataset
    ON CONFLICT (hour, source, dataset) DO UPDATE SET
        polls = h.polls + excluded.polls, records = h.records + excluded.records,
        unchanged = h.unchanged + excluded.unchanged, rejected = h.rejected + excluded.rejected,
        deferred = h.deferred + excluded.deferred, accepted = h.accepted + excluded.accepted
""")
_REMOVE = sa.text("DELETE FROM polls WHERE poll_id = ANY(:ids)")


def prune_polls(engine: Engine, *, before: datetime, limit: int = 5000) -> int:
    """Sum up and remove polls that finished before an instant, at most ``limit`` of them.

    Returns how many; call it again until it returns 0. The sums and the removal are one
    transaction. Raises StateUnavailable when PostgreSQL is away.
    """
    with transaction(engine) as connection:
        ids = _old(connection, before, limit)
        if ids:
            for statement in (_SUM_POLLS, _SUM_DATASETS, _REMOVE):
                connection.execute(statement, {"ids": ids})
    return len(ids)


def _old(connection: Connection, before: datetime, limit: int) -> list[str]:
    rows = connection.execute(_OLD, {"before": before, "limit": limit})
    return [str(row[0]) for row in rows]
