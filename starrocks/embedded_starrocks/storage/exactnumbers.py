"""JSON numbers for DECIMAL columns, digit by digit, as StarRocks takes them.

DuckDB reads a JSON number with a fraction as a double, which holds 15 digits. StarRocks hands the
number's text to the DECIMAL. So numbers under the names of wide DECIMAL columns become texts.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection
from pathlib import Path

DIGITS_OF_A_DOUBLE = 15
_NUMBER = rb"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s*[,}])"


def quote_numbers(body: Path, names: Collection[str]) -> None:
    """Put quotes around the numbers of these members in a body of flat objects.

    A quote within a text has a backslash before it, so that only a member's name is followed by
    a colon; twice changes nothing more.
    """
    if not names or body.stat().st_size == 0:
        return
    named = b"|".join(re.escape(name.encode()) for name in names)
    pattern = re.compile(rb'("(?:%b)"\s*:\s*)%b' % (named, _NUMBER))
    with body.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        changed, count = pattern.subn(rb'\1"\2"', mapped)
    if count:
        body.write_bytes(changed)
