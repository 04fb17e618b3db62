"""The COMMIT frame of a poll that an earlier process began and never ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from emdata.commits import Commit, DatasetCounts, SeenUpdate
from emdata.contracts.identity import utc_text
from stream_manager.buffer import Block


def interrupted_commit(poll_id: str, writer: int, blocks: Sequence[Block], now: datetime) -> Commit:
    """Return the COMMIT of a poll that died before its own: its records count, its cursor stays.

    ``blocks`` are the poll's blocks found in the log. Rows are unknown and 0.
    """
    counts: dict[str, DatasetCounts] = {}
    seen: dict[str, list[SeenUpdate]] = {}
    for block in blocks:
        head = block.head
        one = counts.setdefault(head.dataset, DatasetCounts())
        one.records += len(head)
        one.accepted += len(head)
        one.first_seq = min(head.first_seq, one.first_seq or head.first_seq)
        one.last_seq = max(head.last_seq, one.last_seq or head.last_seq)
        seen.setdefault(head.dataset, []).extend(block.seen_updates())
    first = blocks[0].head
    return Commit(
        poll_id=poll_id,
        writer=writer,
        stream=first.stream,
        source=first.source,
        started_at=first.accepted_at,
        finished_at=utc_text(now),
        outcome="interrupted",
        error_class="interrupted",
        error="the stream manager ended before the poll did",
        is_complete=False,
        documents=0,
        bytes=0,
        rows=0,
        rows_ignored=0,
        rows_rejected=0,
        rows_parsed=0,
        raw_documents=[],
        cursor=None,
        datasets=counts,
        seen=seen,
        deads=[],
        request_ids=[],
    )
