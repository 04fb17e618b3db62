"""What comes from the open API, submitted and counted: the stream that it is counted under.

The records themselves come by the ingest endpoint with the key of the sender ``api``, whose polls
are named like this stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from emdata.contracts import submitted_datasets
from emdata.contracts.api_usage import ApiUsage
from emdata.contracts.base import Record
from emdata.contracts.emissions import Emission
from stream_manager.push.door import PushDoor

API_SENDER = "api"
"""Name of the push key that the open API sends with."""


def api_datasets() -> tuple[str, ...]:
    """Return the datasets that the open API may push: what is submitted, and its own usage."""
    return (*submitted_datasets(), ApiUsage.dataset.name)


class Submissions:
    """Says once a heartbeat that the door is open, because a month without posts is normal."""

    name = f"push-{API_SENDER}"
    source = Emission.dataset.source
    emits: ClassVar[Sequence[type[Record]]] = (Emission, ApiUsage)

    async def run_push(self, door: PushDoor) -> None:
        """Beat until cancelled."""
        while True:
            await door.beat()
            await asyncio.sleep(door.heartbeat_seconds)
