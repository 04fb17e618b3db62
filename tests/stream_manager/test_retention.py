"""Raw documents go when their time is over, and not before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emdata.clock import ManualClock
from emdata.objects import RawStore
from stream_manager.state.retention import keep_retention

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


async def test_documents_beyond_their_days_are_removed_at_the_start(tmp_path: Path) -> None:
    store = RawStore.local(tmp_path)
    old = store.put("fema", (NOW - timedelta(days=31)).date(), b"old")
    kept = store.put("fema", (NOW - timedelta(days=30)).date(), b"kept")
    task = asyncio.create_task(keep_retention(store, ManualClock(NOW), timedelta(days=30)))
    async with asyncio.timeout(10):
        while (tmp_path / old).exists():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert store.get(kept) == b"kept"
    with pytest.raises(FileNotFoundError):
        store.get(old)
