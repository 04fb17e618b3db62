"""Holds the bulk files against StarRocks: are all rows of a day in its files?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from emdata.bulk.landed import landed_days
from emdata.bulk.shelf import Shelf
from emdata.contracts.base import Record
from emdata.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Difference:
    """A day whose files have other rows than StarRocks; None: no files."""

    day: date
    in_files: int | None
    landed: int


def differences(shelf: Shelf, warehouse: Warehouse, record: type[Record]) -> list[Difference]:
    """Return the days that differ.

    An unsettled day may have got rows since its files were built; a settled one may not. Days that
    StarRocks no longer has are kept in files on purpose. Raises as Warehouse and Shelf do.
    """
    days = {one.day: one for one in shelf.index(record.dataset.name).days}
    found = []
    for day, ranges in sorted(landed_days(warehouse, record).items()):
        rows = sum(one.rows for one in ranges)
        there = days.get(day)
        if there is None:
            found.append(Difference(day, None, rows))
        elif there.rows > rows or (there.is_settled and there.rows != rows):
            found.append(Difference(day, there.rows, rows))
    return found
