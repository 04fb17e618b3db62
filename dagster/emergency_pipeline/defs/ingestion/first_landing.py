"""Which streams have landed for the first time: pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from emergency_pipeline.catalog import Stream


def newly_landed(
    streams: Iterable[Stream], landed: Iterable[str], cursor: str | None
) -> tuple[list[str], str]:
    """Return the streams that landed since the cursor was written, and the next cursor.

    ``landed`` holds the datasets that have rows. A stream has landed when one of its datasets has.
    """
    known: set[str] = set(json.loads(cursor)) if cursor else set()
    having = set(landed)
    new = sorted(s.name for s in streams if s.name not in known and having & set(s.datasets))
    return new, json.dumps(sorted(known | set(new)))
