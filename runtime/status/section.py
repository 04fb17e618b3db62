"""The shape of every part of `emdata status`: rows for a table, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from emdata.errors import EmdataError
from runtime.context import Context
from runtime.services.base import NotReady

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Section:
    """One table of the status.

    rows: all with the same keys, shown as columns. problem: why the section cannot be shown,
    empty otherwise.
    """

    name: str
    title: str
    rows: Sequence[Mapping[str, Cell]] = field(default_factory=tuple)
    problem: str = ""


Rows = Callable[[Context], Sequence[Mapping[str, Cell]]]


def read_section(name: str, title: str, rows: Rows, context: Context) -> Section:
    """Read a section; a server that is away becomes its ``problem``."""
    try:
        return Section(name, title, rows(context))
    except (EmdataError, NotReady) as error:
        return Section(name, title, problem=str(error).splitlines()[0][:300])
