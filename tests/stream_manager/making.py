"""Records and commits for the buffer's tests."""

from __future__ import annotations

import hashlib

from emdata.commits import Commit, DatasetCounts
from emdata.envelope import Draft

DATASET = "made_things"
AT = "2026-11-21T09:14:10.000000"


def draft(number: int, *, poll_id: str = "p1", priority: int = 3, size: int = 40) -> Draft:
    """Return a draft whose key is its number."""
    key = f"k{number}"
    return Draft(
        dataset=DATASET,
        source="made",
        stream="made",
        topic="made-things",
        poll_id=poll_id,
        record_key=key,
        record_version=None,
        kafka_key=key,
        key_hash=hashlib.sha256(key.encode()).digest()[:16],
        content_hash=hashlib.sha256(f"{number}".encode()).digest()[:16],
        priority=priority,
        is_simulated=True,
        payload=b'{"n":%d,"pad":"%s"}' % (number, b"x" * size),
    )


def commit(poll_id: str = "p1", *, accepted: int = 0, stream: str = "made") -> Commit:
    """Return a balanced COMMIT frame."""
    counts = DatasetCounts(records=accepted, accepted=accepted)
    if accepted:
        counts.first_seq, counts.last_seq = 1, accepted
    return Commit(
        poll_id=poll_id,
        writer=1,
        stream=stream,
        source="made",
        started_at=AT,
        finished_at=AT,
        outcome="ok",
        error_class=None,
        error=None,
        is_complete=False,
        documents=1,
        bytes=10,
        rows=accepted,
        rows_ignored=0,
        rows_rejected=0,
        rows_parsed=accepted,
        raw_documents=[],
        cursor={"at": 1},
        datasets={DATASET: counts},
        seen={},
        deads=[],
        request_ids=[],
    )
