"""Labels: each names one load as long as it is kept, so that a repeat changes nothing."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time

import duckdb

from embedded_starrocks.storage.metadata import SCHEMA

# Finished labels kept a database, as StarRocks' label_keep_max_num does with 1000.
KEPT_LABELS = 5000

PREPARE, PREPARED, COMMITTED, VISIBLE, ABORTED = (
    "PREPARE",
    "PREPARED",
    "COMMITTED",
    "VISIBLE",
    "ABORTED",
)


@dataclasses.dataclass
class Label:
    """One load's name, transaction and state."""

    db: str
    name: str
    txn_id: int
    table: str
    state: str
    kind: str = "STREAM_LOAD"
    total: int = 0
    filtered: int = 0
    unselected: int = 0
    size: int = 0
    message: str = ""
    owner: str = ""
    # What an ErrorURL ends with: nobody guesses it, because rejected rows are data, too.
    error_key: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(18))
    begun: float = dataclasses.field(default_factory=time.time)


class LabelExists(Exception):
    """The label is taken by a load that runs or is finished."""

    def __init__(self, label: Label) -> None:
        super().__init__(f"Label [{label.name}] has already been used.")
        self.label = label


class Labels:
    """All labels in memory; the table holds what must survive (prepared, visible, aborted)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._lock = threading.Lock()
        self._labels: dict[tuple[str, str], Label] = {}
        highest = int(time.time() * 1000)
        rows = connection.execute(
            "SELECT db, label, txn_id, tbl, state, kind, total_rows, filtered_rows, loaded_bytes, "
            f"message FROM {SCHEMA}.labels ORDER BY txn_id"
        ).fetchall()
        for row in rows:
            db, name, txn_id, table, state, kind, total, filtered, size, message = row
            label = Label(db, name, txn_id, table, state, kind, total, filtered)
            label.size, label.message = size, message
            self._labels[label.db, label.name] = label
            highest = max(highest, label.txn_id)
        self._next = highest + 1

    def get(self, db: str, name: str) -> Label | None:
        return self._labels.get((db, name))

    def latest(self, count: int) -> list[Label]:
        """The labels that were taken last, the newest first."""
        with self._lock:
            found = list(self._labels.values())
        return sorted(found, key=lambda label: label.txn_id, reverse=True)[:count]

    def reserve(self, db: str, name: str, table: str, kind: str) -> Label:
        """Take a label for a new load. Raises LabelExists; an aborted one may be taken again."""
        with self._lock:
            known = self._labels.get((db, name))
            if known is not None and known.state != ABORTED:
                raise LabelExists(known)
            label = Label(db, name, self._next, table, PREPARE, kind)
            self._next += 1
            self._labels[db, name] = label
            return label

    def abort(self, label: Label, message: str) -> None:
        """The load is over and left nothing; known until the process ends."""
        label.state = ABORTED
        label.message = message

    def write(self, connection: duckdb.DuckDBPyConnection, label: Label, state: str) -> None:
        """Store a label's state, in the transaction that makes it true."""
        if label.state == PREPARED:
            connection.execute(
                f"DELETE FROM {SCHEMA}.labels WHERE txn_id = ? AND label = ?",
                [label.txn_id, label.name],
            )
        connection.execute(
            f"INSERT INTO {SCHEMA}.labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "make_timestamp(?::BIGINT), now()::TIMESTAMP)",
            [
                label.db,
                label.name,
                label.txn_id,
                label.table,
                state,
                label.kind,
                label.total,
                label.filtered,
                label.size,
                label.message,
                int(label.begun * 1_000_000),
            ],
        )

    def forget_old(self, connection: duckdb.DuckDBPyConnection, keep_seconds: int) -> None:
        """Drop finished labels beyond age and number, in memory and in the table."""
        oldest = time.time() - keep_seconds
        with self._lock:
            finished = [
                label for label in self._labels.values() if label.state in (VISIBLE, ABORTED)
            ]
            finished.sort(key=lambda label: label.txn_id)
            surplus = max(0, len(finished) - KEPT_LABELS)
            gone = [
                label
                for index, label in enumerate(finished)
                if index < surplus or label.begun < oldest
            ]
            for label in gone:
                del self._labels[label.db, label.name]
        if gone:
            connection.execute(
                f"DELETE FROM {SCHEMA}.labels WHERE state IN ('VISIBLE', 'ABORTED') "
                "AND txn_id IN (SELECT unnest(?::BIGINT[]))",
                [[label.txn_id for label in gone]],
            )

    def forget_database(self, db: str) -> None:
        with self._lock:
            for key in [key for key in self._labels if key[0] == db]:
                del self._labels[key]
