"""Which format a caller gets: by ``f=``, else by ``Accept`` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fastapi import Request

from api.catalog.model import Collection
from api.formats import alerts, jsons, tables
from api.formats.model import Format
from api.problems import Problem, bad_parameter

FORMATS: tuple[Format, ...] = (*jsons.FORMATS, *tables.FORMATS, *alerts.FORMATS)
VARY = {"Vary": "Accept"}
_LONGEST_ACCEPT = 4096
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)


def formats_of(
    collection: Collection, *, is_item: bool = False, is_export: bool = False
) -> tuple[Format, ...]:
    """Return the formats that a collection has, the preferred one first."""
    return tuple(
        one
        for one in FORMATS
        if one.is_for(collection)
        and (one.is_streaming or not is_export)
        and (one.is_page or is_item)
    )


def negotiate(request: Request, offered: Sequence[Format]) -> Format:
    """Return the format to answer in; without a wish the first that is offered.

    Raises Problem ``bad-parameter`` for an unknown ``f``, and ``not-acceptable`` when nothing that
    the caller accepts is offered.
    """
    wished = request.query_params.get("f")
    if wished is not None:
        return _named(wished, offered)
    accept = ",".join(request.headers.getlist("accept"))
    return accepted(accept, offered)


def accepted(accept: str, offered: Sequence[Format]) -> Format:
    """Return the offered format that a value of ``Accept`` likes best.

    Raises Problem ``not-acceptable``.
    """
    ranges = list(_ranges(accept[:_LONGEST_ACCEPT]))
    if not ranges:
        return offered[0]
    best, quality = None, 0.0
    for one in offered:
        liked = _quality(one, ranges)
        if liked > quality:
            best, quality = one, liked
    if best is None:
        shown = {one.name: one.media_types[0] for one in offered}
        detail = f"Accept: {accept[:200]!r} names none of the formats that are here: "
        listed = ", ".join(f"{kind} (f={name})" for name, kind in shown.items())
        raise Problem("not-acceptable", detail + listed, headers=VARY, formats=shown)
    return best


def _named(wished: str, offered: Sequence[Format]) -> Format:
    for one in offered:
        if one.name == wished:
            return one
    names = ", ".join(one.name for one in offered)
    if wished in {one.name for one in FORMATS}:
        detail = f"f: {wished!r} is not there for this; allowed: {names}"
        raise Problem("not-acceptable", detail, parameter="f", allowed=names)
    raise bad_parameter("f", wished, names)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield media ranges with their quality; one that cannot be read is not there."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind.count("/") != 1:
            continue
        quality = next(
            (piece[2:].strip() for piece in parameters if piece[:2].lower() == "q="), "1"
        )
        if _QUALITY.match(quality):
            yield kind.lower(), float(quality)


def _quality(one: Format, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that a format is in, by any of its names."""
    plain = {kind.partition(";")[0] for kind in one.media_types}
    family = {kind.partition("/")[0] + "/*" for kind in plain}
    for wanted in (plain, family, {"*/*"}):
        found = [quality for name, quality in ranges if name in wanted]
        if found:
            return max(found)
    return 0.0
