"""For administrators: what is in the audit log."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.access.require import AdminCaller
from api.context import TheApi
from api.parameters import NoOtherParameters
from api.problems import documented
from emdata.contracts.identity import utc_text
from emdata.state.audit_chain import entries_before

router = APIRouter(tags=["administration"], dependencies=[NoOtherParameters])


@router.get(
    "/audit",
    summary="Entries of the audit log",
    responses=documented("unauthorized", "forbidden", "bad-parameter", "unavailable"),
)
def entries(
    api: TheApi,
    caller: AdminCaller,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Older than this one")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List entries, newest first. Reading them is an entry too."""
    caller.reads.append("audit")
    found = entries_before(api.engine, before, limit)
    return {
        "entries": [
            {
                "seq": one.seq,
                "at": utc_text(one.at) + "Z",
                "actor": one.actor,
                "act": one.act,
                "subject": one.subject,
                "details": json.loads(one.details),
                "hash": one.hash.hex(),
            }
            for one in found
        ]
    }
