"""A dataset of the tests' own, its rows, and what queries of them must answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated as A  # noqa: N817
from typing import Any, ClassVar

from api.catalog.datasets import collection_of
from api.query.model import AllOf, AnyOf, Box, Expression, Filter, ItemsQuery, Not
from emdata.contracts.base import Dataset, Doc, Record, UtcDatetime

START = datetime(2026, 1, 1, tzinfo=UTC)


class Thing(Record, frozen=True, kw_only=True):
    """One reading of something somewhere."""

    place: A[str, Doc("Where")]
    number: A[int, Doc("Which")]
    seen_at: A[UtcDatetime, Doc("When")]
    state: A[str | None, Doc("Two-letter state")] = None
    title: A[str | None, Doc("What")] = None
    amount: A[float | None, Doc("How much", "mm")] = None
    counted: A[int | None, Doc("How many")] = None
    is_wet: A[bool | None, Doc("Whether it is wet")] = None
    seen_on: A[date | None, Doc("Day")] = None
    latitude: A[float | None, Doc("North", "deg")] = None
    longitude: A[float | None, Doc("East", "deg")] = None
    revised_at: A[UtcDatetime | None, Doc("Version")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="test_things",
        source="test",
        domain="weather",
        title="Things",
        key=("place", "number"),
        version="revised_at",
        event_time="seen_at",
        region="state",
        fresh_within="1h",
        terms="none",
    )


THINGS = collection_of(Thing)
TABLE = THINGS.table


@dataclass(frozen=True)
class Row:
    """One accepted version."""

    thing: Thing
    seq: int
    accepted_at: datetime
    writer: int = 1

    def values(self) -> dict[str, Any]:
        """All columns that callers see, instants aware."""
        own = {name: getattr(self.thing, name) for name in self.thing.__struct_fields__}
        return {
            **own,
            "record_key": self.thing.record_key(),
            "record_version": self.thing.version_text(),
            "accepted_at": self.accepted_at,
            "writer": self.writer,
            "seq": self.seq,
            "is_simulated": False,
        }


def current(rows: Sequence[Row], as_of: datetime | None) -> list[dict[str, Any]]:
    """The highest version of each key among those that were accepted by then."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if as_of is not None and row.accepted_at > as_of:
            continue
        values = row.values()
        known = best.get(values["record_key"])
        if known is None or _version(values) > _version(known):
            best[values["record_key"]] = values
    return list(best.values())


def expected(rows: Sequence[Row], query: ItemsQuery) -> list[str]:
    """The keys of all items that a query asks for, in its order."""
    found = [
        values
        for values in current(rows, query.as_of)
        if all(holds(one, values) is True for one in conditions(query))
        and _is_between(query, values)
    ]
    for part in reversed(query.order):
        found.sort(key=lambda one: _lowest(one[part.name]), reverse=part.is_descending)
    return [values["record_key"] for values in found]


def conditions(query: ItemsQuery) -> list[Expression]:
    """All conditions of a query but those of time."""
    return [*query.filters, *(one for one in (query.bbox, query.where) if one is not None)]


def holds(one: Expression, values: dict[str, Any]) -> bool | None:
    """SQL's three-valued logic; None is unknown."""
    if isinstance(one, Not):
        inner = holds(one.part, values)
        return None if inner is None else not inner
    if isinstance(one, AllOf | AnyOf):
        parts = [holds(part, values) for part in one.parts]
        decisive = isinstance(one, AnyOf)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    if isinstance(one, Box):
        return _in_box(one, values)
    return _meets(one, values[one.name])


def _meets(one: Filter, value: Any) -> bool | None:
    if one.operator in ("is null", "is not null"):
        return (value is None) == (one.operator == "is null")
    if value is None:
        return None
    right = one.values[0]
    answers: dict[str, Any] = {
        "=": lambda: value == right,
        "<>": lambda: value != right,
        "<": lambda: _lowest(value) < _lowest(right),
        "<=": lambda: _lowest(value) <= _lowest(right),
        ">": lambda: _lowest(value) > _lowest(right),
        ">=": lambda: _lowest(value) >= _lowest(right),
        "in": lambda: value in one.values,
    }
    return bool(answers[one.operator]())


def _in_box(box: Box, values: dict[str, Any]) -> bool | None:
    longitude, latitude = values["longitude"], values["latitude"]
    if longitude is None or latitude is None:
        return None
    if box.west <= box.east:
        is_beside = box.west <= longitude <= box.east
    else:
        is_beside = longitude >= box.west or longitude <= box.east
    return is_beside and box.south <= latitude <= box.north


def _is_between(query: ItemsQuery, values: dict[str, Any]) -> bool:
    if query.between is None:
        return True
    start, end = query.between.start, query.between.end
    at = values["seen_at"]
    return (start is None or at >= start) and (end is None or at <= end)


def _lowest(value: Any) -> tuple[bool, Any]:
    """A sort key: NULL first, texts by their bytes."""
    if value is None:
        return (False, 0)
    return (True, value.encode() if isinstance(value, str) else value)


def _version(values: dict[str, Any]) -> tuple[Any, ...]:
    version = values["record_version"]
    return (version is not None, version or "", values["seq"], values["writer"])


def hours(count: int) -> datetime:
    """An instant some hours after START."""
    return START + timedelta(hours=count)
