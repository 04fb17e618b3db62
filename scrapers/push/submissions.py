"""What organizations submit by the open API: the stream that its records are counted under.

The records themselves come by the ingest endpoint with the key of the sender ``api``, whose polls
are named like this stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from emdata.contracts.base import Record
from emdata.contracts.emissions import Emission
from stream_manager.push.door import PushDoor

API_SENDER = "api"
"""Name of the push key that the open API sends with."""


class Submissions:
    """Says once a heartbeat that the door is open, because a month without posts is normal."""

    name = f"push-{API_SENDER}"
    source = Emission.dataset.source
    emits: ClassVar[Sequence[type[Record]]] = (Emission,)

    async def run_push(self, door: PushDoor) -> None:
        """Beat until cancelled."""
        while True:
            await door.beat()
            await asyncio.sleep(door.heartbeat_seconds)
