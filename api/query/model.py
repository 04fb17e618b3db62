"""A request for items, understood and checked; no text of the caller is SQL in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from api.catalog.model import Collection

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "in", "like", "is null", "is not null"]
Instant = datetime | date


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a property of the collection; values are typed as the property is."""

    name: str
    operator: Operator
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east, north in degrees, WGS 84; west > east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; of a missing value neither is true, as in SQL."""

    part: Expression


Expression = Filter | Box | AllOf | AnyOf | Not
"""A condition on one row; a Box is about its geometry."""


@dataclass(frozen=True, slots=True)
class Between:
    """A closed interval of time in UTC; None is open."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """One part of the order of the items."""

    name: str
    is_descending: bool = False


@dataclass(frozen=True)
class ItemsQuery:
    """What is asked of one collection.

    order always ends with the key, so that ``after`` (the order's values of the last item of the
    page before) is one place. properties None: all. limit None: all, for exports. where: what
    CQL2 asks beside the other conditions. has_all_versions: of a dataset, every version that was
    accepted and not the current one of each key.
    """

    collection: Collection
    filters: tuple[Filter, ...] = ()
    bbox: Box | None = None
    between: Between | None = None
    as_of: datetime | None = None
    order: tuple[Order, ...] = ()
    properties: tuple[str, ...] | None = None
    limit: int | None = 100
    after: tuple[Any, ...] | None = None
    where: Expression | None = None
    has_all_versions: bool = False


@dataclass(frozen=True)
class Statement:
    """A SELECT, its bound values in order, and the names of its columns."""

    sql: str
    values: tuple[Any, ...]
    columns: tuple[str, ...]
