"""What a table of rows is: its columns with their meaning, and what places a row on the globe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

Kind = Literal["string", "integer", "number", "boolean", "date", "date-time", "json"]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``unit`` is UCUM-like text. ``json`` is text that holds JSON."""

    name: str
    kind: Kind
    description: str = ""
    unit: str | None = None
    is_nullable: bool = True


@dataclass(frozen=True, slots=True)
class Places:
    """The columns that place a row, WGS 84: text of a GeoJSON geometry, else a point.

    point: longitude and latitude in degrees; used where there is no geometry.
    """

    geojson: str | None = None
    point: tuple[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """Rows as they come: ``layout`` names their values in order, ``columns`` are those shown.

    layout may have more names than there are columns, such as those that only place a row.
    about: what files say of themselves in their metadata, as text by name.
    """

    columns: tuple[Column, ...]
    layout: tuple[str, ...]
    places: Places | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Where a row has the value of a name."""
        return {name: index for index, name in enumerate(self.layout)}

    def values(self, rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
        """Return the values of all rows by the name of the layout."""
        if not rows:
            return dict.fromkeys(self.layout, ())
        return dict(zip(self.layout, zip(*rows, strict=True), strict=True))


class TableEncoder(Protocol):
    """Turns rows into bytes as they come; one is used for one file."""

    def begin(self) -> bytes:
        """Return what stands before the rows."""
        ...

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return what these rows add; it may be kept for later."""
        ...

    def end(self) -> bytes:
        """Return what stands after the rows."""
        ...
