"""Byte ranges and conditions of a file's request (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """What of a file is sent: from ``start`` to before ``end``, and the answer's status."""

    status: int
    start: int
    end: int


def part_of(headers: Headers, size: int, tag: str, *, is_head: bool = False) -> Part:
    """Return what a request asks of a file with ``size`` bytes and the ETag ``tag``.

    Status 304: the caller has it. 416: the range lies behind the end. Several ranges, another
    unit, a range that cannot be read, one of another state of the file, and HEAD: all of the file.
    """
    if is_known(headers.getlist("if-none-match"), tag):
        return Part(304, 0, 0)
    whole = Part(200, 0, size)
    match = _RANGE.match(headers.get("range", ""))
    condition = headers.get("if-range")
    if is_head or match is None or (condition is not None and condition.strip() != tag):
        return whole
    first, last = match[1], match[2]
    if not first and not last:
        return whole
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), size if not last else min(int(last) + 1, size)
        if last and int(last) < int(first):
            return whole
    return Part(206, start, end) if start < end else Part(416, 0, 0)


def is_known(if_none_match: Sequence[str], tag: str) -> bool:
    """Whether a caller's ``If-None-Match`` names the tag; weak tags are the same content."""
    given = [one.strip() for line in if_none_match for one in line.split(",")]
    return "*" in given or tag.removeprefix("W/") in [one.removeprefix("W/") for one in given]
