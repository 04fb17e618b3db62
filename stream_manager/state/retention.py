"""Removing what is past its time, now and every few hours: raw documents, settled polls."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.objects import RawStore
from emdata.state.prune import prune_polls
from emdata.telemetry import get_logger

log = get_logger(__name__)
EVERY_SECONDS = 6 * 3600.0


async def keep_retention(store: RawStore, clock: Clock, keep: timedelta) -> None:
    """Remove documents older than ``keep`` until cancelled; a failing disk is tried again later."""
    while True:
        try:
            removed = await asyncio.to_thread(store.remove_before, clock.now().date(), keep=keep)
        except OSError as error:
            log.warning("raw_documents_not_removed", error=str(error)[:200])
        else:
            log.info("raw_documents_removed", documents=removed)
        await asyncio.sleep(EVERY_SECONDS)


async def keep_polls(engine: Engine, clock: Clock, keep: timedelta) -> None:
    """Sum up and remove settled polls older than ``keep`` until cancelled."""
    while True:
        before, removed = clock.now() - keep, 0
        try:
            while count := await asyncio.to_thread(partial(prune_polls, engine, before=before)):
                removed += count
        except (StateUnavailable, SQLAlchemyError) as error:
            log.warning("polls_not_removed", error=str(error)[:200])
        if removed:
            log.info("polls_removed", polls=removed, before=before.isoformat())
        await asyncio.sleep(EVERY_SECONDS)
