"""Versions of tables: a number that rises with every commit that changes one.

A version is the count of this directory's starts (upper bits) and the number of the commit since
then (lower 32 bits). So it rises across restarts without a write for each commit, and what was
changed by the last commit before a crash has another version behind it, whoever saw what before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import duckdb

from embedded_starrocks.storage.metadata import SCHEMA, Catalog

_COMMIT_BITS = 32


def count_start(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of this start; kept with the transaction that it is counted in."""
    connection.execute(f"CREATE SEQUENCE IF NOT EXISTS {SCHEMA}.starts")
    ((number,),) = connection.execute(f"SELECT nextval('{SCHEMA}.starts')").fetchall()
    return int(number)


class Versions:
    """The version of every table, by the id of its relation."""

    def __init__(self, start: int) -> None:
        self._first = start << _COMMIT_BITS
        self._commits = 0
        self._changed: dict[int, int] = {}
        self._lock = threading.Lock()
        self._here = threading.local()

    def of(self, relation_id: int) -> int:
        """The version that everybody sees; never ahead of the rows."""
        return self._first + self._changed.get(relation_id, 0)

    def changes(self, relation_id: int) -> int:
        """The number of the table's last commit since the start; 0 when there was none."""
        return self._changed.get(relation_id, 0)

    def note(self, relation_id: int) -> None:
        """A table has changed: counted at once, or at the end of this thread's transaction."""
        noted: set[int] | None = getattr(self._here, "noted", None)
        if noted is None:
            self._count((relation_id,))
        else:
            noted.add(relation_id)

    def begin(self) -> None:
        """A transaction of this thread begins: nothing counts before its commit."""
        self._here.noted = set()

    def end(self, is_committed: bool) -> None:
        """It has ended."""
        noted: set[int] = self._here.noted
        self._here.noted = None
        if is_committed and noted:
            self._count(noted)

    def note_differences(self, before: Catalog, now: Catalog) -> None:
        """Tables whose definition, name or partitions are others than before."""
        for place, relation in now.relations.items():
            if before.relations.get(place) != relation:
                self.note(relation.id)

    def _count(self, relation_ids: Iterable[int]) -> None:
        # A name may come to stand for another table (swap, rename): numbers are never used twice.
        with self._lock:
            self._commits += 1
            self._changed.update(dict.fromkeys(relation_ids, self._commits))
