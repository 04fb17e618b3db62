"""The area API of FIRMS: CSV by product, area and days."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

from simulator.answers import (
    Answer,
    Defect,
    Fact,
    MutationError,
    SourceRequest,
    conditional,
    etag_of,
    fingerprint,
)
from simulator.firms.fires import (
    ARCHIVED_AFTER_SECONDS,
    BETTER_AFTER_SECONDS,
    SATELLITES,
    SEEN_AFTER_SECONDS,
    Fires,
    Pixel,
)
from simulator.instants import DAY, day_of, iso_utc, start_of, utc

DATASET = "nasa_firms_fire_detections"
MAX_DAYS = 5
THROTTLED_SECONDS = 600.0
_PATH = re.compile(r"^/api/area/csv/([^/]+)/([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?$")
_PRODUCTS = {satellite.product for satellite in SATELLITES}
_COLUMNS = {
    "VIIRS": ("bright_ti4", "bright_ti5"),
    "MODIS": ("brightness", "bright_t31"),
}


class _RefusedError(ValueError):
    """What the server answers as text with status 400."""


class FirmsSource:
    """firms.modaps.eosdis.nasa.gov with fires seen by five satellites."""

    host: ClassVar[str] = "firms.modaps.eosdis.nasa.gov"
    name: ClassVar[str] = "firms"
    paths: ClassVar[tuple[str, ...]] = ("/api/area/csv/KEY/VIIRS_NOAA20_NRT/world/2",)
    mutations: ClassVar[tuple[str, ...]] = ("new_fire", "throttle")

    def __init__(self, seed: int) -> None:
        self._fires = Fires(seed)
        self._throttled_until = 0.0
        self._mutations = 0

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Apply a named change; see ``mutations``."""
        if mutation == "new_fire":
            changed = self._fires.start(at, options, self._mutations + 1)
        elif mutation == "throttle":
            self._throttled_until = at + float(options.get("seconds", THROTTLED_SECONDS))
            changed = {"until": iso_utc(self._throttled_until)}
        else:
            known = ", ".join(self.mutations)
            raise MutationError(f"firms has no mutation {mutation!r}; it has: {known}")
        self._mutations += 1
        return changed

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request for an area; None for any other path."""
        match = _PATH.match(request.path)
        if match is None:
            return None
        key, product, area, days, first = match.groups()
        if request.now < self._throttled_until:
            return _text("Exceeding allowed transaction limit", 200)
        if not (key.isascii() and key.isalnum()):
            return _text("Invalid MAP_KEY.", 400)
        try:
            family, kind = _product(product)
            since, until = _days(days, first, request.now)
            box = _area(area)
        except _RefusedError as error:
            return _text(str(error), 400)
        pixels = [
            pixel
            for satellite in SATELLITES
            if satellite.product == family
            for pixel in self._fires.pixels(satellite, since, until)
            if _is_in(pixel, box) and _is_served(pixel, kind, request.now)
        ]
        return conditional(request, _answer(family, kind, pixels, request.now, defect))


def _answer(
    product: str, kind: str, pixels: Sequence[Pixel], now: float, defect: Defect | None
) -> Answer:
    family = product.partition("_")[0]
    names = ["latitude", "longitude", _COLUMNS[family][0], "scan", "track", "acq_date", "acq_time",
             "satellite", "instrument", "confidence", "version", _COLUMNS[family][1], "frp",
             "daynight"]  # fmt: skip
    if kind == "SP":
        names.append("type")
    rows = [_row(pixel, kind, now) for pixel in pixels]
    facts = [_fact(pixel, row, kind, now) for pixel, row in zip(pixels, rows, strict=True)]
    if defect == "malformed_row" and rows:
        rows[0][names.index("frp")] = "many"
        facts = facts[1:]
    if defect == "drift":
        names[names.index("frp")] = "fire_power"
        facts = []
    body = ("\n".join(",".join(row) for row in (names, *rows)) + "\n").encode()
    return Answer(body, "text/csv; charset=utf-8", 200, {"ETag": etag_of(body)}, facts)


def _row(pixel: Pixel, kind: str, now: float) -> list[str]:
    """Write a row as the area API does: times without leading zeros, numbers without trailing."""
    at = utc(pixel.acquired)
    family = pixel.satellite.family
    row = [
        f"{pixel.latitude:.5f}", f"{pixel.longitude:.5f}", f"{pixel.short_k:g}",
        f"{pixel.scan:g}", f"{pixel.track:g}", f"{at:%Y-%m-%d}", str(at.hour * 100 + at.minute),
        pixel.satellite.name, family, _confidence(pixel), _version(pixel, kind, now),
        f"{pixel.long_k:g}", "" if pixel.frp is None else f"{pixel.frp:g}",
        "D" if pixel.is_day else "N",
    ]  # fmt: skip
    return [*row, "0"] if kind == "SP" else row


def _fact(pixel: Pixel, row: Sequence[str], kind: str, now: float) -> Fact:
    at = iso_utc(pixel.acquired)
    key = "|".join(
        (pixel.satellite.family, pixel.satellite.name, at, str(pixel.latitude),
         str(pixel.longitude))
    )  # fmt: skip
    values = {
        "satellite": pixel.satellite.name,
        "acquired_at": at,
        "latitude": pixel.latitude,
        "longitude": pixel.longitude,
        "frp_mw": pixel.frp,
        "processing": "SP" if kind == "SP" else _version(pixel, kind, now).lstrip("0123456789."),
    }
    return Fact(DATASET, key, fingerprint(list(row)), values)


def _confidence(pixel: Pixel) -> str:
    if pixel.satellite.family == "MODIS":
        return str(pixel.confidence)
    return "l" if pixel.confidence < 15 else "n" if pixel.confidence < 80 else "h"


def _version(pixel: Pixel, kind: str, now: float) -> str:
    collection = "6.1" if pixel.satellite.family == "MODIS" else "2.0"
    if kind == "SP":
        return collection
    return collection + ("RT" if now < pixel.acquired + BETTER_AFTER_SECONDS else "NRT")


def _is_served(pixel: Pixel, kind: str, now: float) -> bool:
    is_old = pixel.acquired + ARCHIVED_AFTER_SECONDS <= now
    if kind == "SP":
        return is_old
    return pixel.acquired + SEEN_AFTER_SECONDS <= now and not is_old


def _product(text: str) -> tuple[str, str]:
    product, _, kind = text.rpartition("_")
    if product not in _PRODUCTS or kind not in ("NRT", "SP"):
        raise _RefusedError("Invalid source.")
    return product, kind


def _days(text: str, first: str | None, now: float) -> tuple[float, float]:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:3]) <= MAX_DAYS):
        raise _RefusedError(f"Invalid day range. Expects [1..{MAX_DAYS}].")
    days = timedelta(days=int(text))
    if first is None:
        last = day_of(now)
        return start_of(last - days + timedelta(days=1)), start_of(last) + DAY
    try:
        begin = date.fromisoformat(first)
    except ValueError:
        raise _RefusedError("Invalid date.") from None
    return start_of(begin), start_of(begin + days)


def _area(text: str) -> tuple[float, float, float, float]:
    if text == "world":
        return -180.0, -90.0, 180.0, 90.0
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise _RefusedError("Invalid area coordinates.") from None
    return west, south, east, north


def _is_in(pixel: Pixel, box: tuple[float, float, float, float]) -> bool:
    west, south, east, north = box
    return west <= pixel.longitude <= east and south <= pixel.latitude <= north


def _text(text: str, status: int) -> Answer:
    return Answer(text.encode(), "text/plain; charset=utf-8", status)
