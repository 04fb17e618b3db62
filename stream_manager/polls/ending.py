"""How a poll ends: what its COMMIT may hold, and what it adds to the metrics."""

from __future__ import annotations

from typing import Any

import msgspec

from emdata.commits import Commit
from stream_manager import metrics


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
