"""The dead letters of one poll: one per dataset, cause and payload, with occurrences."""

from __future__ import annotations

import hashlib

from emdata.commits import Dead
from emdata.contracts.base import Record
from emdata.contracts.identity import utc_text
from emdata.errors import EmdataError
from stream_manager.polls.poll import MAX_REASON, RECORD_ERRORS, PollContext

MAX_BYTES = 1 << 20
MAX_TOTAL = 64 << 20
BEYOND_TOTAL = 1024


class DeadRows:
    """Bytes are kept verbatim: 1 MiB a letter, 64 MiB together, then the first KiB of each."""

    def __init__(self, context: PollContext) -> None:
        self._context = context
        self._letters: dict[str, Dead] = {}
        self._bytes = 0

    def add(self, dataset: str | None, payload: bytes, error: Exception) -> None:
        """Note a row (dataset None) or a record that was rejected."""
        context = self._context
        cause = error.code if isinstance(error, EmdataError) else type(error).__name__
        digest = hashlib.sha256(f"{context.stream}|{dataset}|{cause}|".encode() + payload)
        identity = digest.hexdigest()[:32]
        before = self._letters.get(identity)
        kept = payload[: MAX_BYTES if self._bytes < MAX_TOTAL else BEYOND_TOTAL]
        self._bytes += 0 if before is not None else len(kept)
        self._letters[identity] = Dead(
            identity,
            context.stream,
            dataset,
            None,
            context.poll_id,
            cause,
            str(error)[:MAX_REASON],
            kept if before is None else before.payload,
            1 if before is None else before.occurrences + 1,
            utc_text(context.clock.now()),
        )

    def letters(self) -> list[Dead]:
        """Return the letters in the order of their first rows."""
        return list(self._letters.values())


def bytes_of(record: Record) -> bytes:
    """Return a rejected record's payload, or what can be said of one that has none."""
    try:
        return record.payload()
    except RECORD_ERRORS:
        return repr(record).encode("utf-8", "backslashreplace")
