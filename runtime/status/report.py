"""All sections of the status together, as data and as tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from emdata.clock import Clock
from runtime.context import Context
from runtime.services.base import Service
from runtime.status import jobs, manager, services, tables
from runtime.status.section import Cell, Section, read_section

_GOOD = frozenset({"ready", "RUNNING", "fresh", "quiet", "ok", "settled"})
_BAD = frozenset({"crashing", "fatal", "broken", "MISSING", "failed", "stopped", "upstream_stale"})
_HIDDEN = {  # still there with --json
    "services": ("pid", "uptime_s"),
    "sources": ("source", "is_loaded", "is_polling"),
    "jobs": ("tables", "kind"),
}
_INSTANT = re.compile(r"^\d{4}-(\d\d-\d\d)T(\d\d:\d\d:\d\d)")


def read_sections(context: Context, chosen: Sequence[Service]) -> list[Section]:
    """Read all sections side by side."""
    readers: list[Callable[[], list[Section]]] = [
        lambda: [read_section("services", "Services", lambda c: services.rows(c, chosen), context)],
        lambda: manager.sections(context),
        lambda: [read_section("jobs", "Flink jobs", jobs.rows, context)],
        lambda: [read_section("tables", "Tables", tables.rows, context)],
    ]
    with ThreadPoolExecutor(len(readers)) as pool:
        return [section for group in pool.map(lambda read: read(), readers) for section in group]


def as_data(context: Context, sections: Sequence[Section], clock: Clock) -> dict[str, Any]:
    """The status for `--json`."""
    return {
        "at": clock.now().isoformat(),
        "mode": context.paths.mode,
        "home": str(context.paths.home),
        "sections": {section.name: asdict(section) for section in sections},
    }


def as_tables(context: Context, sections: Sequence[Section]) -> RenderableType:
    """The status for a terminal."""
    parts: list[RenderableType] = [banner(context)]
    for section in sections:
        parts.append(render(section))
    return Group(*parts)


def banner(context: Context) -> RenderableType:
    """The line that no screen may leave out."""
    if context.paths.mode == "simulator":
        return Text("SIMULATED DATA: nothing here happened", style="bold white on red")
    return Text("live data", style="bold")


def render(section: Section) -> RenderableType:
    """One section as a table with a line of its own for a problem."""
    if section.problem:
        return Text(f"{section.title}: {section.problem}", style="yellow")
    if not section.rows:
        return Text(f"{section.title}: none", style="dim")
    hidden = _HIDDEN.get(section.name, ())
    columns = [name for name in section.rows[0] if name not in hidden]
    table = Table(title=section.title, title_justify="left", title_style="bold", box=None)
    for name in columns:
        numeric = all(_is_number(row.get(name)) for row in section.rows)
        side: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(name.replace("_", " "), justify=side, overflow="fold")
    for row in section.rows:
        table.add_row(*(_text(row.get(name)) for name in columns))
    return table


def print_services(context: Context, chosen: Sequence[Service]) -> None:
    """The table that ends a start."""
    views = services.service_views(context, chosen)
    rows: list[dict[str, Cell]] = [asdict(view) for view in views]
    console = Console()
    console.print(banner(context))
    console.print(render(Section("services", "Services", rows)))
    total = sum(view.pss_mb for view in views)
    console.print(f"memory {total} MB (PSS); logs in {context.paths.logs}")


def _is_number(value: Cell) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: Cell) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}")
    if isinstance(value, int):
        return Text(f"{value:,}")
    instant = _INSTANT.match(value)
    if instant is not None:
        return Text(f"{instant[1]} {instant[2]}")
    style = "green" if value in _GOOD else "red" if value in _BAD else ""
    return Text(value, style=style)
