"""The COMMIT frame of a poll: what the buffer's log says about it and PostgreSQL indexes.

A frame is self-contained, so that applying it needs nothing but the frame, and applying it twice
changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec


class SeenUpdate(msgspec.Struct, frozen=True, array_like=True):
    """The newest accepted content of one key."""

    key_hash: bytes
    content_hash: bytes
    version: str | None
    seq: int


class Dead(msgspec.Struct, frozen=True, array_like=True):
    """A row, or an accepted record, that cannot go on; ``payload`` keeps its bytes verbatim.

    seq is set only for a record that died after its acceptance.
    """

    id: str
    stream: str
    dataset: str | None
    seq: int | None
    poll_id: str
    cause: str
    reason: str
    payload: bytes
    occurrences: int
    at: str


class DatasetCounts(msgspec.Struct, array_like=True):
    """The ledger of one dataset in one poll; newest_event_at is a UTC text or None."""

    records: int = 0
    unchanged: int = 0
    rejected: int = 0
    deferred: int = 0
    accepted: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    newest_event_at: str | None = None

    def counted(self) -> int:
        """Return how many records ended in one of the counts."""
        return self.unchanged + self.rejected + self.deferred + self.accepted

    def balances(self) -> bool:
        """Tell whether records = unchanged + rejected + deferred + accepted."""
        return self.records == self.counted()


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """How a poll ended. Instants are UTC texts; ``cursor`` None leaves the cursor unmoved."""

    poll_id: str
    writer: int
    stream: str
    source: str
    started_at: str
    finished_at: str
    outcome: str
    error_class: str | None
    error: str | None
    is_complete: bool
    documents: int
    bytes: int
    rows: int
    rows_ignored: int
    rows_rejected: int
    rows_parsed: int
    raw_documents: list[str]
    cursor: dict[str, Any] | None
    datasets: dict[str, DatasetCounts]
    seen: dict[str, list[SeenUpdate]]
    deads: list[Dead]
    request_ids: list[int]

    def balances(self) -> bool:
        """Tell whether both equations of the ledger hold."""
        rows = self.rows_ignored + self.rows_rejected + self.rows_parsed
        return self.rows == rows and all(counts.balances() for counts in self.datasets.values())
