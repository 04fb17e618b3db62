"""How fresh each source is, and whether everything that was accepted has landed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.access.visibility import visible
from api.context import TheApi, TheCaller
from api.parameters import NoOtherParameters
from api.problems import documented
from emdata.contracts import contracts
from emdata.state.freshness import freshness
from emdata.state.ledger import balances, hours

router = APIRouter(
    tags=["sources"],
    dependencies=[NoOtherParameters],
    responses=documented("bad-parameter", "unavailable"),
)


@router.get("/sources", summary="Freshness of each source")
async def sources(api: TheApi, caller: TheCaller) -> dict[str, Any]:
    """Return the state of each stream, why, and its three clocks.

    fresh; quiet (polls succeed, nothing new, which is normal); late (what should have landed has
    not); upstream_stale (the source itself stopped); broken (polls fail); off.
    """
    seen = {one.id for one in visible(api.catalog, caller) if one.is_dataset}
    now = api.clock.now()
    found = await asyncio.to_thread(freshness, api.engine, contracts(), now)
    shown = [
        {
            "source": one.source,
            "stream": one.stream,
            "state": one.state,
            "why": one.why,
            "lastPollAt": one.last_poll_at,
            "newestEventAt": one.newest_event_at,
            "lastLandedAt": one.last_landed_at,
            "datasets": [name for name in one.datasets if name in seen],
        }
        for one in found
        if seen.intersection(one.datasets)
    ]
    return {"sources": shown, "answeredAt": now, "isSimulated": api.is_simulated}


@router.get("/ledger", summary="Whether everything accepted has landed")
async def ledger(
    api: TheApi,
    caller: TheCaller,
    hours_back: Annotated[int, Query(alias="hours", ge=1, le=168, description="Hours back")] = 24,
) -> dict[str, Any]:
    """Return, by dataset, accepted = landed + dead + on the way; and the hours of polls.

    An hour is settled when every record of its polls has landed or is kept as a dead letter.
    """
    seen = {one.id for one in visible(api.catalog, caller) if one.is_dataset}
    now = api.clock.now()
    rows = await asyncio.to_thread(balances, api.engine)
    by_hour = await asyncio.to_thread(hours, api.engine, since=now - timedelta(hours=hours_back))
    return {
        "balances": [
            {
                "dataset": row["dataset"],
                "writer": row["writer"],
                "accepted": row["high_seq"],
                "landed": row["landed"],
                "dead": row["dead"],
                "onTheWay": row["on_the_way"],
                "newestLandedAt": row["newest_landed_at"],
            }
            for row in rows
            if row["dataset"] in seen
        ],
        "hours": [
            {
                "hour": row.hour,
                "source": row.source,
                "dataset": row.dataset,
                "polls": row.polls,
                "records": row.records,
                "unchanged": row.unchanged,
                "rejected": row.rejected,
                "deferred": row.deferred,
                "accepted": row.accepted,
                "isSettled": row.is_settled,
            }
            for row in by_hour
            if row.dataset in seen
        ],
        "answeredAt": now,
        "isSimulated": api.is_simulated,
    }
