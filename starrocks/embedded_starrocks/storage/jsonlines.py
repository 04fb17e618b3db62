"""Whether a body is JSON lines: DuckDB then reads it with all threads, else with one.

DuckDB's own reader of lines takes the first of two objects on a line and drops the other, and
breaks objects of several lines. So lines are only read as such where that can't be.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

# A closing brace with anything but the end of its line and the next line's object behind it.
_OTHER_BRACE = re.compile(rb"\}(?!\r?\n\{|\s*\Z)")
_WINDOW = 1 << 20


def is_one_object_a_line(body: Path) -> bool:
    """True only for one flat object on each line: no brace, not even in a text, but its two.

    A body with nested objects is found out at its first one; nothing is parsed.
    """
    if body.stat().st_size == 0:
        return False
    with body.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        if mapped[:1] != b"{":
            return False
        at = 0
        while len(mapped) - at > _WINDOW:
            # Windows end behind an opening brace; other threads run between two of them.
            end = mapped.rfind(b"\n{", at, at + _WINDOW) + 2
            if end < 2 or _OTHER_BRACE.search(mapped[at:end]):
                return False
            at = end
        return _OTHER_BRACE.search(mapped[at:]) is None
