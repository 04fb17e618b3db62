"""FIRMS' columns, value by value: https://www.earthdata.nasa.gov/data/tools/firms/faq.

Each function reads one text of the CSV. The fast way calls the ones for columns of few different
values once per value, the slow way once per row, so that both say the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from emdata.contracts.firms import PRODUCT_RANKS, FireDetection
from emdata.contracts.identity import utc_text
from emdata.errors import DocumentError, RowError
from scrapers import values, wire

COMMON = (
    "latitude", "longitude", "scan", "track", "acq_date", "acq_time", "satellite", "confidence",
    "version", "frp", "daynight",
)  # fmt: skip
BRIGHTNESS = {"VIIRS": ("bright_ti4", "bright_ti5"), "MODIS": ("brightness", "bright_t31")}
OPTIONAL = ("instrument", "type", "country_id")
KNOWN = frozenset({*COMMON, *OPTIONAL, *(name for pair in BRIGHTNESS.values() for name in pair)})
DECIMALS = 5

BOUNDS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "brightness": (0.0, 2000.0),
    "scan": (0.0, 50.0),
    "track": (0.0, 50.0),
    "frp": (0.0, 1_000_000.0),
}
"""What is physically possible; a column in another unit shows by it."""

_ENOUGH = 5
_FIRST_DAY = date(2000, 1, 1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{1,4}", re.ASCII)
_VERSION = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)(URT|NRT|RT|SP)?", re.ASCII)
_NOAA = re.compile(r"N\d{2}", re.ASCII)
_MODIS_SATELLITES = {"T": "Terra", "A": "Aqua", "TERRA": "Terra", "AQUA": "Aqua"}
_CLASSES = {"l": "low", "n": "nominal", "h": "high"}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header says: column names, the instrument's family, and what is wrong, if anything.

    A fault rejects every row of the document.
    """

    names: tuple[str, ...]
    family: str = ""
    fault: str | None = None

    @property
    def brightness(self) -> tuple[str, str]:
        """The columns of the short and the long wave."""
        return BRIGHTNESS[self.family]

    @property
    def unknown(self) -> frozenset[str]:
        """Columns that are not known here: additive drift."""
        return frozenset(self.names) - KNOWN


@lru_cache(maxsize=64)
def layout_of(header: bytes, what: str) -> Layout:
    """Read the first line of a document; the order of the columns does not matter.

    Raises DocumentError when it is no header of FIRMS, such as one of its errors, which come as
    plain text with status 200.
    """
    try:
        names = tuple(name.strip() for name in wire.csv_fields(header))
    except RowError as error:
        raise DocumentError(f"{what}: {error}") from error
    if len(KNOWN.intersection(names)) < _ENOUGH:
        raise DocumentError(f"{what}: no CSV of fire detections: {wire.shown(header)}")
    families = [name for name, pair in BRIGHTNESS.items() if set(pair) & set(names)]
    family = families[0] if len(families) == 1 else ""
    wanted = (*COMMON, *BRIGHTNESS.get(family, ()))
    missing = [name for name in wanted if name not in names]
    fault = None
    if len(set(names)) < len(names):
        fault = "a column stands twice in the header"
    elif missing:
        others = ", ".join(sorted(set(names) - KNOWN)[:6]) or "none"
        fault = f"columns are missing: {', '.join(missing)}; unknown columns: {others}"
    elif not family:
        fault = "columns of neither or both of MODIS and VIIRS"
    else:
        fault = _renamed(names)
    return Layout(names, family, fault)


def _renamed(names: Sequence[str]) -> str | None:
    missing = [name for name in OPTIONAL if name not in names]
    try:
        values.refuse_renames(missing, frozenset(names) - KNOWN)
    except RowError as error:
        return str(error)
    return None


def record_of(raw: bytes, layout: Layout) -> FireDetection:
    """Turn the bytes of one row into a record; one comma too many at its end means nothing.

    Raises RowError naming the field.
    """
    texts = wire.csv_fields(raw)
    if len(texts) == len(layout.names) + 1 and not texts[-1]:
        texts.pop()
    if len(texts) != len(layout.names):
        raise RowError(f"CSV row has {len(texts)} fields; the header names {len(layout.names)}")
    row = dict(zip(layout.names, texts, strict=True))
    instrument_checked(row.get("instrument", ""), layout.family)
    collection, processing = version_of(row["version"])
    confidence, percent = confidence_of(row["confidence"], layout.family)
    short, long = layout.brightness
    return FireDetection(
        acquired_at=acquired(row["acq_date"], row["acq_time"]),
        brightness_k=measured(row[short], "brightness"),
        brightness_long_wave_k=measured(row[long], "brightness"),
        collection=collection,
        confidence=confidence,
        confidence_percent=percent,
        detection_type=type_of(row.get("type", "")),
        frp_mw=measured(row["frp"], "frp"),
        is_day=is_day(row["daynight"]),
        latitude=degrees(row["latitude"], "latitude"),
        longitude=degrees(row["longitude"], "longitude"),
        processing=processing,
        product_rank=PRODUCT_RANKS[processing],
        satellite=satellite_of(row["satellite"], layout.family),
        scan_km=measured(row["scan"], "scan"),
        source_family=layout.family,
        track_km=measured(row["track"], "track"),
    )


def measured(text: str, field: str) -> float | None:
    """Return a number within its bounds; None when blank. Raises RowError."""
    low, high = BOUNDS[field]
    found = values.number(text.strip(), field, low=low, high=high)
    return None if found is None else found + 0.0  # no negative zero


def degrees(text: str, field: str) -> float:
    """Return a coordinate with five decimals, which make the key. Raises RowError."""
    found = measured(text, field)
    if found is None:
        raise RowError(f"{field}: empty, and part of the key")
    return round(found, DECIMALS) + 0.0


def acquired(day: str, time: str) -> datetime:
    """Return the instant of a day and an HHMM, which may have lost its zeros. Raises RowError."""
    return datetime.fromisoformat(f"{day_of(day)}T{time_of(time)}").replace(tzinfo=UTC)


def acquired_text(day: str, time: str) -> str:
    """Return the instant as payloads have it. Raises RowError."""
    return utc_text(acquired(day, time))


def day_of(text: str) -> str:
    """Return a day as YYYY-MM-DD. Raises RowError."""
    fault = RowError(f"acq_date: {values.shown(text)} is no day since {_FIRST_DAY} as YYYY-MM-DD")
    text = text.strip()
    if _DATE.fullmatch(text) is None:
        raise fault
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise fault from None
    if day < _FIRST_DAY:
        raise fault
    return text


def time_of(text: str) -> str:
    """Return HH:MM for HHMM in UTC: ``5`` is 00:05, ``0659`` and ``659`` are 06:59."""
    digits = text.strip()
    if _TIME.fullmatch(digits):
        hour, minute = divmod(int(digits), 100)
        if hour < 24 and minute < 60:
            return f"{hour:02d}:{minute:02d}"
    raise RowError(f"acq_time: {values.shown(text)} is no time as HHMM")


def satellite_of(text: str, family: str) -> str:
    """Return one name per satellite: T and A are short for Terra and Aqua, 1 was NOAA-20."""
    name = text.strip()
    if family == "MODIS":
        found = _MODIS_SATELLITES.get(name.upper())
    else:
        found = "N20" if name == "1" else name if name == "N" or _NOAA.fullmatch(name) else None
    if found is None:
        raise RowError(f"satellite: {values.shown(text)} is none that carries {family}")
    return found


def version_of(text: str) -> tuple[str, str]:
    """Take ``2.0NRT`` apart; an archive's version has no suffix and is SP. Raises RowError."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise RowError(f"version: {values.shown(text)}; allowed: such as 2.0NRT, 6.1URT, 6.2")
    return match[1], match[2] or "SP"


def confidence_of(text: str, family: str) -> tuple[str | None, int | None]:
    """Return the class, and for MODIS the percentage it comes from. Raises RowError."""
    text = text.strip()
    if not text:
        return None, None
    if family == "MODIS":
        number = values.number(text, "confidence", low=0, high=100)
        if number is None or number != int(number):
            raise RowError(f"confidence: {values.shown(text)} is no whole percentage")
        percent = int(number)
        return ("low" if percent < 30 else "nominal" if percent < 80 else "high"), percent
    word = text.lower()
    found = _CLASSES.get(word[:1])
    if found is None or word not in (word[:1], found):
        raise RowError(f"confidence: {values.shown(text)}; allowed: low, nominal, high, or l, n, h")
    return found, None


def is_day(text: str) -> bool:
    """Return whether it was day: D or N. Raises RowError, for blank too: a line was cut there."""
    mark = text.strip()
    if mark not in ("D", "N"):
        raise RowError(f"daynight: {values.shown(text)}; allowed: D, N")
    return mark == "D"


def type_of(text: str) -> int | None:
    """Return the inferred type of the hot spot, 0 to 3; None when blank. Raises RowError."""
    mark = text.strip()
    if mark and mark not in ("0", "1", "2", "3"):
        raise RowError(f"type: {values.shown(text)}; allowed: 0 to 3")
    return int(mark) if mark else None


def instrument_checked(text: str, family: str) -> str:
    """Return the family; blank is fine. Raises RowError when the row is of another instrument."""
    if text.strip() not in ("", family):
        raise RowError(f"instrument: {values.shown(text)} in a table of {family}")
    return family
