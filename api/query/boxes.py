"""Bounding boxes as callers write them."""

from __future__ import annotations

from collections.abc import Sequence

from api.problems import bad_parameter
from api.query.model import Box
from api.query.values import finite, number

_ALLOWED = "west,south,east,north in degrees, or with heights west,south,low,east,north,high"
_WITH_HEIGHTS = 6


def box(parameter: str, text: str) -> Box:
    """Return the box of comma-separated numbers. Raises Problem ``bad-parameter``."""
    parts = text.split(",", _WITH_HEIGHTS)
    return box_of(parameter, [number(parameter, part.strip()) for part in parts])


def box_of(parameter: str, numbers: Sequence[float]) -> Box:
    """Return the box of four numbers, or of six, whose heights every feature meets.

    Raises Problem ``bad-parameter``, with a hint where latitude and longitude were swapped.
    """
    shown = ",".join(f"{one:g}" for one in numbers)
    if len(numbers) not in (4, _WITH_HEIGHTS):
        raise bad_parameter(parameter, shown, _ALLOWED)
    for one in numbers:
        finite(parameter, one)
    if len(numbers) == _WITH_HEIGHTS:
        west, south, low, east, north, high = numbers
        if low > high:
            raise bad_parameter(parameter, shown, "a low height that is not above the high one")
    else:
        west, south, east, north = numbers
    if not _is_on_earth(west, south, east, north):
        hint = ""
        if _is_on_earth(south, west, north, east):
            hint = "; longitude comes first, perhaps they are swapped"
        raise bad_parameter(
            parameter, shown, f"longitudes from -180 to 180, latitudes from -90 to 90{hint}"
        )
    if south > north:
        raise bad_parameter(parameter, shown, "a south that is not north of the north")
    return Box(west, south, east, north)


def _is_on_earth(west: float, south: float, east: float, north: float) -> bool:
    longitudes = all(-180 <= one <= 180 for one in (west, east))
    return longitudes and all(-90 <= one <= 90 for one in (south, north))
