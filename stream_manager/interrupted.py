"""The COMMIT frame of a poll that an earlier process began and never ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from emdata.commits import Commit, DatasetCounts, SeenUpdate
from emdata.contracts.base import utc_text
from emdata.envelope import Accepted


def interrupted_commit(
    poll_id: str, writer: int, records: Sequence[Accepted], now: datetime
) -> Commit:
    """Return the COMMIT of a poll that died before its own: its records count, its cursor stays.

    ``records`` are the poll's ``Accepted`` records found in the log. Rows are unknown and 0.
    """
    counts: dict[str, DatasetCounts] = {}
    seen: dict[str, list[SeenUpdate]] = {}
    for record in records:
        one = counts.setdefault(record.dataset, DatasetCounts())
        one.records += 1
        one.accepted += 1
        one.first_seq = min(record.seq, one.first_seq or record.seq)
        one.last_seq = max(record.seq, one.last_seq or record.seq)
        seen.setdefault(record.dataset, []).append(
            SeenUpdate(record.key_hash, record.content_hash, record.record_version, record.seq)
        )
    return Commit(
        poll_id=poll_id,
        writer=writer,
        stream=records[0].stream,
        source=records[0].source,
        started_at=records[0].accepted_at,
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
