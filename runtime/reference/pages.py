"""Writes generated pages, or checks that they are current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emdata.settings import REPOSITORY


def write_pages(pages: Mapping[Path, str], *, check: bool) -> bool:
    """Write what differs and say so; with ``check``, change nothing. False when one was stale."""
    current = True
    for page, text in pages.items():
        name = page.relative_to(REPOSITORY)
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if check:
            current = False
            print(f"{name} is out of date: run `emdata docs` and `emdata settings example`")
            continue
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
        print(f"{name} written")
    return current


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    lines = [_line(columns), _line(tuple("---" for _ in columns))]
    return "\n".join([*lines, *(_line(row) for row in rows)]) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    shown = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |"
