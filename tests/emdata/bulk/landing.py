"""Rows and polls as the platform writes them, for tests of bulk files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.contracts.base import Record, fields_of
from emdata.derive.starrocks import raw_table, raw_table_ddl
from emdata.derive.types import META
from emdata.state.tables import landed, poll_datasets, polls
from emdata.warehouse import Warehouse


@dataclass(frozen=True)
class Landing:
    """A raw table and the ledger beside it."""

    warehouse: Warehouse
    engine: Engine
    record: type[Record]

    def create(self) -> None:
        """Make the table empty."""
        table = raw_table(self.record)
        self.warehouse.execute(
            "CREATE DATABASE IF NOT EXISTS raw_data",
            f"DROP TABLE IF EXISTS {table}",
            raw_table_ddl(self.record),
        )

    def rows(self, at: datetime, seqs: Iterable[int], values: Mapping[str, Any]) -> None:
        """Land rows accepted at an instant; ``values`` by field, callables get the number."""
        own = [field.name for field in fields_of(self.record)]
        names = [*(meta.name for meta in META), *own]
        marks = ", ".join(["%s"] * len(names))
        sql = (
            f"INSERT INTO {raw_table(self.record)} ({', '.join(f'`{n}`' for n in names)})"
            f" VALUES ({marks})"
        )
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                sql,
                [
                    [
                        *(at.date(), 1, seq, at.replace(tzinfo=None), "p", f"k{seq}", None),
                        *("0" * 32, 3, False),
                        *(_value(values.get(name), seq) for name in own),
                    ]
                    for seq in seqs
                ],
            )

    def poll(self, started_at: datetime, first_seq: int, last_seq: int) -> None:
        """Enter a poll that accepted a range into the ledger."""
        poll_id = f"{self.record.dataset.name}-{first_seq}-{last_seq}"
        count = last_seq - first_seq + 1
        with self.engine.begin() as connection:
            connection.execute(
                sa.insert(polls).values(
                    poll_id=poll_id,
                    writer=1,
                    stream="made",
                    source="made",
                    started_at=started_at,
                    finished_at=started_at + timedelta(seconds=5),
                    hour=started_at.replace(minute=0, second=0, microsecond=0),
                    outcome="ok",
                    is_complete=True,
                    rows=count,
                    rows_parsed=count,
                )
            )
            connection.execute(
                sa.insert(poll_datasets).values(
                    poll_id=poll_id,
                    dataset=self.record.dataset.name,
                    writer=1,
                    records=count,
                    accepted=count,
                    first_seq=first_seq,
                    last_seq=last_seq,
                )
            )

    def settled(self, seq: int, *, high: int, now: datetime) -> None:
        """Say how far everything has landed."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.delete(landed).where(landed.c.dataset == self.record.dataset.name)
            )
            connection.execute(
                sa.insert(landed).values(
                    writer=1,
                    dataset=self.record.dataset.name,
                    high_seq=high,
                    settled_seq=seq,
                    landed=seq,
                    dead=0,
                    on_the_way=high - seq,
                    checked_at=now,
                )
            )

    def count(self, day: date) -> int:
        """How many rows StarRocks has of a day."""
        (row,) = self.warehouse.query(
            f"SELECT COUNT(*) AS n FROM {raw_table(self.record)} WHERE accepted_on = %s", (day,)
        )
        return int(row["n"])


def _value(given: Any, seq: int) -> Any:
    made = given(seq) if callable(given) else given
    return made.replace(tzinfo=None) if isinstance(made, datetime) else made
