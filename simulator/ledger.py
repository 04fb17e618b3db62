"""What the simulator served: an independent witness, kept in SQLite so that a kill keeps it.

A *version* is a run of equal content of one key: content A, then B, then A again are three
versions. A version is acknowledged once a 200 holding it was sent to its last byte.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from simulator.answers import Fact

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    dataset TEXT NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, content TEXT NOT NULL,
    first_served_at TEXT NOT NULL, last_served_at TEXT NOT NULL,
    first_simulated_at TEXT NOT NULL, last_simulated_at TEXT NOT NULL,
    times INTEGER NOT NULL, acknowledged_at TEXT, acknowledged_times INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset, key, n)
) WITHOUT ROWID
"""
# Equal neighbors among the acknowledged versions count once: what lay between never arrived.
_ACKNOWLEDGED = """
SELECT dataset, key, fingerprint, acknowledged_at,
       LAG(fingerprint) OVER (PARTITION BY dataset, key ORDER BY n) AS before
FROM versions WHERE acknowledged_at IS NOT NULL
"""
Served = tuple[str, str, int]
_BATCH = 1_000


class Ledger:
    """Keys and versions served, with the first and last time of each. One process writes it."""

    def __init__(self, file: Path) -> None:
        # One event loop uses it, which need not run in the thread that builds the application.
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # outlives a kill; a power cut is not the aim
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def serve(self, facts: Sequence[Fact], at: str, simulated_at: str) -> list[Served]:
        """Note that ``facts`` are about to be sent; returns what ``acknowledge`` needs."""
        served: list[Served] = []
        self._db.execute("BEGIN")
        for fact in facts:
            latest = self._db.execute(
                "SELECT n, fingerprint FROM versions WHERE dataset = ? AND key = ?"
                " ORDER BY n DESC LIMIT 1",
                (fact.dataset, fact.key),
            ).fetchone()
            if latest is not None and latest[1] == fact.fingerprint:
                number = int(latest[0])
                self._db.execute(
                    "UPDATE versions SET times = times + 1, last_served_at = ?,"
                    " last_simulated_at = ? WHERE dataset = ? AND key = ? AND n = ?",
                    (at, simulated_at, fact.dataset, fact.key, number),
                )
            else:
                number = 1 if latest is None else int(latest[0]) + 1
                self._insert(fact, number, at, simulated_at)
            served.append((fact.dataset, fact.key, number))
        self._db.execute("COMMIT")
        return served

    def acknowledge(self, served: Sequence[Served], at: str) -> None:
        """Note that an answer with these versions was sent completely."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "UPDATE versions SET acknowledged_at = COALESCE(acknowledged_at, ?),"
            " acknowledged_times = acknowledged_times + 1"
            " WHERE dataset = ? AND key = ? AND n = ?",
            [(at, *entry) for entry in served],
        )
        self._db.execute("COMMIT")

    def summary(self) -> dict[str, Any]:
        """Return, per dataset, keys and versions served and acknowledged, and by real UTC hour."""
        datasets: dict[str, dict[str, Any]] = {}
        for row in self._db.execute(
            "SELECT dataset, COUNT(DISTINCT key), COUNT(*), SUM(times), MAX(last_served_at)"
            " FROM versions GROUP BY dataset ORDER BY dataset"
        ):
            datasets[row[0]] = {
                "keys": row[1], "versions": row[2], "rows_served": row[3], "last_served_at": row[4],
                "acknowledged_keys": 0, "acknowledged_versions": 0, "by_hour": {},
            }  # fmt: skip
        counts = self._db.execute(
            f"SELECT dataset, substr(acknowledged_at, 1, 13), COUNT(*), SUM(before IS NULL)"
            f" FROM ({_ACKNOWLEDGED}) WHERE before IS NULL OR before <> fingerprint GROUP BY 1, 2"
        )
        for name, hour, versions, keys in counts:
            entry = datasets[name]
            entry["acknowledged_versions"] += versions
            entry["acknowledged_keys"] += keys
            entry["by_hour"][f"{hour}:00:00"] = {"new_keys": keys, "versions": versions}
        return datasets

    def versions(self, dataset: str) -> Iterator[bytes]:
        """Give every version of a dataset as lines of JSON, in order of key and version."""
        columns = (
            "key", "version", "fingerprint", "first_served_at", "last_served_at",
            "first_simulated_at", "last_simulated_at", "times", "acknowledged_at",
            "acknowledged_times",
        )  # fmt: skip
        last: tuple[str, int] = ("", 0)
        while True:
            rows = self._db.execute(
                "SELECT key, n, fingerprint, first_served_at, last_served_at, first_simulated_at,"
                " last_simulated_at, times, acknowledged_at, acknowledged_times, content"
                " FROM versions WHERE dataset = ? AND (key, n) > (?, ?) ORDER BY key, n LIMIT ?",
                (dataset, *last, _BATCH),
            ).fetchall()
            for row in rows:
                line = dict(zip(columns, row[:-1], strict=True))
                line["values"] = msgspec.Raw(row[-1].encode())
                yield msgspec.json.encode(line) + b"\n"
            if len(rows) < _BATCH:
                return
            last = rows[-1][0], rows[-1][1]

    def _insert(self, fact: Fact, number: int, at: str, simulated_at: str) -> None:
        content = msgspec.json.encode(fact.values).decode()
        times = (at, at, simulated_at, simulated_at)
        self._db.execute(
            "INSERT INTO versions (dataset, key, n, fingerprint, content, first_served_at,"
            " last_served_at, first_simulated_at, last_simulated_at, times)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (fact.dataset, fact.key, number, fact.fingerprint, content, *times),
        )
