"""Puts records into raw tables as Flink would land them, with chosen sequence and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from emdata.contracts import Record
from emdata.derive.starrocks import raw_table
from emdata.derive.types import columns_of
from emdata.warehouse import Warehouse

WRITER = 1


@dataclass(frozen=True)
class Landed:
    """One accepted record; its place in the list gives the sequence."""

    record: Record
    accepted_at: datetime


def row_of(landed: Landed, seq: int) -> dict[str, Any]:
    """The row of the raw table for one accepted record."""
    record, accepted_at = landed.record, landed.accepted_at
    envelope = {
        "accepted_on": accepted_at.date(),
        "writer": WRITER,
        "seq": seq,
        "accepted_at": accepted_at,
        "poll_id": "poll-1",
        "record_key": record.record_key(),
        "record_version": record.version_text(),
        "content_hash": record.content_hash().hex(),
        "priority": int(record.priority()),
        "is_simulated": False,
    }
    return envelope | {name: getattr(record, name) for name in record.__struct_fields__}


def land(warehouse: Warehouse, accepted: Iterable[Landed], first_seq: int = 1) -> None:
    """Insert records, table by table, in the order in which they were accepted."""
    by_type: dict[type[Record], list[Landed]] = {}
    for landed in accepted:
        by_type.setdefault(type(landed.record), []).append(landed)
    for record, rows in by_type.items():
        names = [column.name for column in columns_of(record)]
        values = [row_of(landed, seq) for seq, landed in enumerate(rows, first_seq)]
        insert(warehouse, raw_table(record), names, [[v[n] for n in names] for v in values])


def insert(
    warehouse: Warehouse, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows into a table."""
    one = f"({', '.join(['%s'] * len(names))})"
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([one] * len(rows))}"
    warehouse.query(sql, [_plain(value) for row in rows for value in row])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value
