"""Removing raw documents whose time is over, now and every few hours."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from emdata.clock import Clock
from emdata.objects import RawStore
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
