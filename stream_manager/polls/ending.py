"""How a poll ends: what its COMMIT may hold, and what it adds to the metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from emdata.commits import Commit, DatasetCounts, Dead, SeenUpdate
from emdata.contracts.identity import utc_text
from stream_manager import metrics
from stream_manager.polls.poll import MAX_REASON, PollContext, Tally


@dataclass(frozen=True, slots=True)
class End:
    """How a poll ended; cursor None leaves the cursor unmoved."""

    outcome: str
    cursor: dict[str, Any] | None
    is_complete: bool
    error: Exception | None


def is_encodable(cursor: dict[str, Any] | None) -> bool:
    """Whether a cursor can be written."""
    try:
        msgspec.msgpack.encode(cursor)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return False
    return True


def count_poll(commit: Commit) -> None:
    """Count a poll that ended, its rows and its records."""
    metrics.POLLS.labels(commit.stream, commit.outcome).inc()
    for result in ("ignored", "rejected", "parsed"):
        metrics.ROWS.labels(commit.stream, result).inc(getattr(commit, f"rows_{result}"))
    for dataset, counts in commit.datasets.items():
        for result in ("unchanged", "rejected", "deferred", "accepted"):
            metrics.RECORDS.labels(dataset, result).inc(getattr(counts, result))


def sum_of(counts: Iterable[DatasetCounts]) -> DatasetCounts:
    """Add up counts of several datasets; the sum has no numbers and no times."""
    total = DatasetCounts()
    for one in counts:
        for name in ("records", "unchanged", "rejected", "deferred", "accepted"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return total


def commit_of(
    context: PollContext,
    tally: Tally,
    started_at: datetime,
    end: End,
    *,
    datasets: dict[str, DatasetCounts],
    seen: dict[str, list[SeenUpdate]],
    deads: list[Dead],
) -> Commit:
    """Return the COMMIT of a poll that ends now; a cursor never moves past a deferred record."""
    error = end.error
    is_deferred = any(counts.deferred for counts in datasets.values())
    return Commit(
        poll_id=context.poll_id,
        writer=context.writer,
        stream=context.stream,
        source=context.source,
        started_at=utc_text(started_at),
        finished_at=utc_text(context.clock.now()),
        outcome=end.outcome,
        error_class=None if error is None else getattr(error, "code", type(error).__name__),
        error=None if error is None else str(error)[:MAX_REASON],
        is_complete=end.is_complete,
        documents=tally.documents,
        bytes=tally.bytes,
        rows=tally.rows,
        rows_ignored=tally.ignored,
        rows_rejected=tally.rejected,
        rows_parsed=tally.parsed,
        raw_documents=tally.raw_documents,
        cursor=None if is_deferred else end.cursor,
        datasets=datasets,
        seen=seen,
        deads=deads,
        # Who asked for an interrupted poll still waits for one that is not.
        request_ids=[] if end.outcome == "interrupted" else list(context.request_ids),
    )
