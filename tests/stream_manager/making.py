"""Records and commits for the buffer's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from emdata.commits import Commit, DatasetCounts, Dead
from emdata.envelope import Accepted, Draft
from stream_manager.buffer import Block, BufferLog, Run, blocks_of
from stream_manager.buffer.blocks import number as number_block

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


def block(*drafts: Draft, writer: int = 1, first_seq: int = 1) -> Block:
    """Return drafts of one dataset and poll as an accepted block."""
    (made,) = blocks_of(drafts)
    return Block(writer, number_block(made, first_seq=first_seq, accepted_at=AT), made.columns)


def accepted(one: Draft, *, writer: int = 1, seq: int = 1) -> Accepted:
    """Return a draft as it is after its acceptance."""
    return block(one, writer=writer, first_seq=seq).record(0)


def append(
    log: BufferLog, drafts: list[Draft], commits: Iterable[Commit] = (), deads: Iterable[Dead] = ()
) -> list[Run]:
    """Append one batch; returns a run a record, in order."""
    done = log.append(blocks_of(drafts), list(commits), list(deads), accepted_at=AT)
    return sorted(singles(done.runs), key=Run.order)


def singles(runs: Iterable[Run]) -> list[Run]:
    """Cut runs into single records, in the order given."""
    made = []
    for run in runs:
        for position in run.positions:
            one = run.only([position])
            one.block, one.size = run.block, run.size // len(run)
            made.append(one)
    return made


def records(log: BufferLog, runs: Iterable[Run]) -> list[Accepted]:
    """Read the records of runs."""
    return [log.load(run).record(position) for run in runs for position in run.positions]
