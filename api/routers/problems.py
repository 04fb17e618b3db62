"""What the ``type`` of a problem document leads to."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.parameters import NoOtherParameters
from api.problems import TYPES, Problem, documented

router = APIRouter(tags=["platform"], dependencies=[NoOtherParameters])


@router.get("/problems", summary="Types of problems", responses=documented("bad-parameter"))
def problems() -> dict[str, Any]:
    """List the types that an error can have; they are stable."""
    return {"problems": [_shown(kind) for kind in TYPES]}


@router.get(
    "/problems/{kind}",
    summary="One type of problem",
    responses=documented("bad-parameter", "not-found"),
)
def problem(kind: str) -> dict[str, Any]:
    """Say what a type of problem is."""
    if kind not in TYPES:
        raise Problem("not-found", f"problem {kind[:40]!r} is unknown; known: {', '.join(TYPES)}")
    return _shown(kind)


def _shown(kind: str) -> dict[str, Any]:
    status, title = TYPES[kind]
    return {"type": f"/problems/{kind}", "title": title, "status": status}
