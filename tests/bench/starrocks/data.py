"""The rows of all benchmarks, and bare DuckDB to compare with."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import duckdb

BATCH = 50_000
# StarRocks' types, and DuckDB's; fifteen columns, about 311 bytes a row as JSON.
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("id", "BIGINT", "BIGINT"),
    ("station", "VARCHAR(20)", "VARCHAR"),
    ("observed_at", "DATETIME", "TIMESTAMP"),
    ("day", "DATE", "DATE"),
    ("county", "VARCHAR(40)", "VARCHAR"),
    ("state", "VARCHAR(2)", "VARCHAR"),
    ("temperature_c", "DOUBLE", "DOUBLE"),
    ("humidity", "DOUBLE", "DOUBLE"),
    ("wind_m_s", "DOUBLE", "DOUBLE"),
    ("gust_m_s", "DOUBLE", "DOUBLE"),
    ("rain_mm", "DECIMAL(10, 2)", "DECIMAL(10, 2)"),
    ("quality", "INT", "INTEGER"),
    ("is_final", "BOOLEAN", "BOOLEAN"),
    ("note", "VARCHAR(100)", "VARCHAR"),
    ("sequence", "INT", "INTEGER"),
)


def lines(first: int, count: int, seed: int = 1) -> bytes:
    """JSON lines of `count` rows with ids from `first` on."""
    chance = random.Random(seed)
    rows = []
    for number in range(first, first + count):
        rows.append(
            json.dumps(
                {
                    "id": number,
                    "station": f"ST{number % 400:04d}",
                    "observed_at": f"2026-11-{1 + number % 28:02d} 10:{number % 60:02d}:00",
                    "day": f"2026-11-{1 + number % 28:02d}",
                    "county": f"County of number {number % 64}",
                    "state": "CO",
                    "temperature_c": round(chance.uniform(-20, 40), 2),
                    "humidity": round(chance.random(), 4),
                    "wind_m_s": round(chance.uniform(0, 30), 2),
                    "gust_m_s": round(chance.uniform(0, 50), 2),
                    "rain_mm": round(chance.uniform(0, 9), 2),
                    "quality": number % 5,
                    "is_final": number % 2 == 0,
                    "note": f"observed by an instrument of kind {number % 17}",
                    "sequence": number % 1000,
                }
            )
        )
    return ("\n".join(rows) + "\n").encode()


def create_table(name: str, key: str) -> str:
    columns = ", ".join(
        f"{column} {kind}{' NOT NULL' if column == 'id' else ''}" for column, kind, _ in COLUMNS
    )
    return f"CREATE TABLE {name} ({columns}) {key} KEY (id) DISTRIBUTED BY HASH(id) BUCKETS 1"


@dataclasses.dataclass
class Bare:
    """DuckDB in this process over a file of its own, with the server's settings."""

    directory: Path
    connection: duckdb.DuckDBPyConnection

    @classmethod
    def open(cls, directory: Path) -> Bare:
        directory.mkdir(parents=True)
        config: dict[str, Any] = {"memory_limit": "512MB", "threads": 2}
        return cls(directory, duckdb.connect(str(directory / "bare.duckdb"), config=config))

    def rows(self, sql: str) -> list[Any]:
        return self.connection.execute(sql).fetchall()

    def create(self, name: str) -> None:
        columns = ", ".join(f"{column} {kind}" for column, _, kind in COLUMNS)
        self.connection.execute(f"CREATE TABLE {name} ({columns})")

    def _reader(self, body: bytes) -> str:
        path = self.directory / "body.json"
        path.write_bytes(body)
        columns = ", ".join(f"{column}: '{kind}'" for column, _, kind in COLUMNS)
        return f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"

    def insert(self, name: str, body: bytes) -> None:
        self.connection.execute(f"INSERT INTO {name} FROM {self._reader(body)}")

    def upsert(self, name: str, body: bytes) -> None:
        """What an upsert takes at least: read, delete the keys, insert, in one transaction."""
        run = self.connection.execute
        run("BEGIN")
        run(f"CREATE OR REPLACE TEMP TABLE fresh AS FROM {self._reader(body)}")
        run(f"DELETE FROM {name} AS t USING fresh AS f WHERE t.id = f.id")
        run(f"INSERT INTO {name} FROM fresh")
        run("COMMIT")

    def close(self) -> None:
        self.connection.close()
