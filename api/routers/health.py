"""Whether this process lives and can answer."""

from __future__ import annotations

from fastapi import APIRouter

from api.context import TheApi
from api.query.model import Statement

router = APIRouter(tags=["platform"])


@router.get("/health", summary="Whether the API lives")
async def health() -> dict[str, str]:
    """Answer while the process lives; asks nothing else."""
    return {"status": "ok"}


@router.get("/ready", summary="Whether the API can answer from StarRocks")
async def ready(api: TheApi) -> dict[str, bool]:
    """Answer 200 when StarRocks answers, 503 with a problem otherwise."""
    await api.reader.rows(Statement("SELECT 1", (), ("one",)), seconds=2)
    return {"is_ready": True}
