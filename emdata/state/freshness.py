"""Quiet is not broken: three clocks a stream and the state they give.

The clocks: last successful poll, newest event time upstream, last row landed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.contracts.base import Record, duration
from emdata.state.database import transaction
from emdata.state.tables import landed, poll_datasets, polls, streams

FRESH, QUIET, LATE = "fresh", "quiet", "late"
UPSTREAM_STALE, BROKEN, OFF = "upstream_stale", "broken", "off"
STATES = (FRESH, QUIET, LATE, UPSTREAM_STALE, BROKEN, OFF)
FAILURES_UNTIL_BROKEN = 3
LANDING_GRACE = timedelta(seconds=90)
PERMANENT = frozenset({"document", "source_refused", "response_too_large", "unsafe_address"})


@dataclass(frozen=True, slots=True)
class StreamFreshness:
    """The state of one stream, why, and its three clocks (UTC)."""

    source: str
    stream: str
    state: str
    why: str
    last_poll_at: datetime | None
    newest_event_at: datetime | None
    last_landed_at: datetime | None
    datasets: tuple[str, ...]


def freshness(
    engine: Engine, records: Mapping[str, type[Record]], now: datetime
) -> list[StreamFreshness]:
    """Judge every registered stream.

    Raises StateUnavailable when PostgreSQL is away.
    """
    with transaction(engine) as connection:
        rows = connection.execute(sa.select(streams).order_by(streams.c.stream)).mappings().all()
        return [_judge(_facts(connection, dict(row)), records, now) for row in rows]


def _facts(connection: sa.Connection, row: dict[str, Any]) -> dict[str, Any]:
    stream, datasets = row["stream"], list(row["datasets"])
    recent = connection.execute(
        sa.select(polls.c.outcome, polls.c.error_class, polls.c.error, polls.c.finished_at)
        .where(polls.c.stream == stream, polls.c.outcome != "interrupted")
        .order_by(polls.c.finished_at.desc())
        .limit(FAILURES_UNTIL_BROKEN)
    ).all()
    last_success = connection.execute(
        sa.select(sa.func.max(polls.c.finished_at)).where(
            polls.c.stream == stream, polls.c.outcome.in_(("ok", "not_modified"))
        )
    ).scalar()
    newest_event = connection.execute(
        sa.select(sa.func.max(poll_datasets.c.newest_event_at))
        .join(polls, polls.c.poll_id == poll_datasets.c.poll_id)
        .where(polls.c.stream == stream)
    ).scalar()
    ledger = connection.execute(
        sa.select(landed.c.newest_landed_at, landed.c.on_the_way, landed.c.checked_at).where(
            landed.c.dataset.in_(datasets)
        )
    ).all()
    oldest_open = connection.execute(
        sa.select(sa.func.min(polls.c.finished_at))
        .join(poll_datasets, poll_datasets.c.poll_id == polls.c.poll_id)
        .outerjoin(
            landed,
            (landed.c.writer == poll_datasets.c.writer)
            & (landed.c.dataset == poll_datasets.c.dataset),
        )
        .where(
            polls.c.stream == stream,
            poll_datasets.c.last_seq > sa.func.coalesce(landed.c.settled_seq, 0),
        )
    ).scalar()
    landings = [one.newest_landed_at for one in ledger if one.newest_landed_at is not None]
    return {
        **row,
        "recent": recent,
        "last_success": last_success,
        "newest_event": newest_event,
        "last_landed": max(landings, default=None),
        "oldest_open": oldest_open,
    }


def _judge(
    facts: dict[str, Any], records: Mapping[str, type[Record]], now: datetime
) -> StreamFreshness:
    state, why = _state(facts, records, now)
    return StreamFreshness(
        source=facts["source"],
        stream=facts["stream"],
        state=state,
        why=why,
        last_poll_at=facts["last_success"],
        newest_event_at=facts["newest_event"],
        last_landed_at=facts["last_landed"],
        datasets=tuple(facts["datasets"]),
    )


def _state(
    facts: dict[str, Any], records: Mapping[str, type[Record]], now: datetime
) -> tuple[str, str]:
    if not facts["is_on"]:
        return OFF, "switched off"
    recent, every = facts["recent"], timedelta(seconds=facts["every_seconds"])
    if recent and recent[0].outcome == "failed":
        failures = [poll for poll in recent if poll.outcome == "failed"]
        if recent[0].error_class in PERMANENT or len(failures) == FAILURES_UNTIL_BROKEN:
            return BROKEN, f"{recent[0].error_class}: {(recent[0].error or '')[:200]}"
    if facts["last_success"] is None:
        return LATE, "no successful poll yet"
    silence = now - facts["last_success"]
    if silence > every * 2 + timedelta(seconds=60):
        return LATE, f"last successful poll {_age(silence)} ago, due every {_age(every)}"
    if facts["oldest_open"] is not None and now - facts["oldest_open"] > LANDING_GRACE:
        return LATE, f"records accepted {_age(now - facts['oldest_open'])} ago have not landed"
    return _upstream(facts, records, now)


def _upstream(
    facts: dict[str, Any], records: Mapping[str, type[Record]], now: datetime
) -> tuple[str, str]:
    event = facts["newest_event"]
    if event is None:
        return QUIET, "polls succeed; no event yet"
    known = [records[name].dataset for name in facts["datasets"] if name in records]
    limit = max((duration(one.fresh_within) for one in known), default=timedelta(days=1))
    if now - event <= limit:
        return FRESH, f"newest event {_age(now - event)} ago"
    text = f"polls succeed; newest event {_age(now - event)} ago"
    if any(one.periodic for one in known):
        return UPSTREAM_STALE, f"{text}, expected within {_age(limit)}"
    return QUIET, text


def _age(span: timedelta) -> str:
    seconds = max(int(span.total_seconds()), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
