"""A collection as every room of the API sees it, whatever it was declared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from emdata.contracts.base import Record
from emdata.tabular.model import Kind


@dataclass(frozen=True, slots=True)
class Property:
    """One column that callers see, by its name in the table."""

    name: str
    type: Kind
    description: str
    unit: str | None = None
    is_nullable: bool = True
    is_filterable: bool = True
    is_sensitive: bool = False
    """Hidden from the classes of organizations that may not see sensitive columns."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The columns that place a row on the globe, WGS 84; any of them may be missing.

    geojson: text of a GeoJSON geometry. point: longitude and latitude. bbox: west, south, east
    and north edges.
    """

    geojson: str | None = None
    point: tuple[str, str] | None = None
    bbox: tuple[str, str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Two columns, an interval closed at its start and open at its end; null ends: still open.

    ``end`` None: the row is about one instant or day.
    """

    start: str
    end: str | None = None


@dataclass(frozen=True)
class Collection:
    """A set of features: the current rows of a dataset, or the rows of a mart.

    table: qualified name. key: the properties that name a feature for ever. time: what
    ``datetime`` asks about. as_of: what ``as_of`` asks about; None with ``record``: the time of
    acceptance; None without: there is nothing to ask. state, county: properties with a postal
    code and a five-digit FIPS code. changes_with_time: a view over the present moment, which may
    change although no row does. record: the contract, for the current rows of a dataset.
    tenant_column: names whose row it is; tenant: whose the whole collection is; both None: public.
    """

    id: str
    title: str
    description: str
    table: str
    key: tuple[str, ...]
    properties: tuple[Property, ...]
    domain: str
    terms: str
    geometry: Geometry | None = None
    time: Span | None = None
    as_of: Span | None = None
    state: str | None = None
    county: str | None = None
    record: type[Record] | None = None
    changes_with_time: bool = False
    tenant: str | None = None
    tenant_column: str | None = None

    @property
    def is_dataset(self) -> bool:
        """Whether this is a contract's dataset, whose table has every version of each key."""
        return self.record is not None

    @cached_property
    def by_name(self) -> Mapping[str, Property]:
        """The properties by name."""
        return {one.name: one for one in self.properties}
