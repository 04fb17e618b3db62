"""FIRMS' CSV to bytes for Kafka, column by column, without an object per row.

What comes out equals what ``firms_fields.record_of`` and the contract give row by row, byte for
byte; rows in doubt are left to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from emdata.contracts.base import Priority
from emdata.contracts.firms import PRODUCT_RANKS, STRONG_FRP_MW
from scrapers import firms_fields as fields
from scrapers.columnar_csv import Convert, is_sure_number, number, odd_numbers, replaced
from scrapers.firms_fields import BOUNDS, DECIMALS, Layout

if TYPE_CHECKING:
    import polars as pl

_RECORD_KEY = "FAMILY|{to_satellite}|{event}|{latitude_text}|{longitude_text}"
_NAME = re.compile(r"\{(\w+)\}")
_SCALE = 10.0**DECIMALS
_NEAR = 1e-4
VERSIONS = tuple(f"{rank:020d}" for rank in sorted(PRODUCT_RANKS.values()))
"""The contract's ``version_text()`` by rank."""

_ALWAYS = ("latitude", "longitude")


def pixel_columns(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Return the columns of what is sent, a row per row of ``frame``.

    kafka_key, record_key, payload, event: text. rank, priority: small integers. is_sure: False
    for a row in doubt, whose other columns mean nothing.
    """
    import polars as pl

    numbers, words = _numbers(layout), replaced(frame, _words(layout))
    made = frame.with_columns(
        *(number(name).alias(f"{to}_value") for to, (name, _) in numbers.items()),
        **{name: column for name, column in words.items() if not isinstance(column, str)},
    )
    made = made.with_columns(
        *(
            pl.col(f"{to}_value").cast(pl.String).fill_null("null").alias(f"{to}_text")
            for to in numbers
        ),
        _format("{to_day}T{to_time}:00.000000", words).alias("event"),
    )
    odd = odd_numbers(made, {f"{to}_text": name for to, (name, _) in numbers.items()})
    is_sure = pl.all_horizontal(
        *(
            is_sure_number(f"{to}_value", name, BOUNDS[kind], or_blank=to not in _ALWAYS)
            for to, (name, kind) in numbers.items()
        ),
        *(_has_five_decimals(name) for name in _ALWAYS),
    )
    sent = made.select(
        pl.format("geo_{}_{}", _floor("latitude"), _floor("longitude")).alias("kafka_key"),
        _format(_RECORD_KEY.replace("FAMILY", layout.family), words).alias("record_key"),
        _format(_payload(layout), words).alias("payload"),
        "event",
        _of(words, "to_rank").cast(pl.UInt8).alias("rank"),
        _priority(words).alias("priority"),
        (is_sure if odd is None else is_sure & ~pl.lit(odd)).alias("is_sure"),
    )
    # A word that was refused has made the payload null.
    return sent.with_columns(pl.col("is_sure") & pl.col("payload").is_not_null())


def _of(words: Mapping[str, pl.Expr | str], name: str) -> pl.Expr:
    import polars as pl

    word = words.get(name)
    return pl.lit(word) if isinstance(word, str) else pl.col(name)


def _format(template: str, words: Mapping[str, pl.Expr | str]) -> pl.Expr:
    """Put columns in the place of their names in braces, and words that never change at once."""
    import polars as pl

    names: list[str] = []

    def fill(match: re.Match[str]) -> str:
        word = words.get(match[1])
        if isinstance(word, str):
            return word
        names.append(match[1])
        return "{}"

    filled = _NAME.sub(fill, template)
    return pl.format(filled, *names) if names else pl.lit(filled)


def _numbers(layout: Layout) -> dict[str, tuple[str, str]]:
    """Columns of numbers: our name -> name in the CSV, kind of its bounds."""
    short, long = layout.brightness
    return {
        "short": (short, "brightness"),
        "long": (long, "brightness"),
        "frp": ("frp", "frp"),
        "latitude": ("latitude", "latitude"),
        "longitude": ("longitude", "longitude"),
        "scan": ("scan", "scan"),
        "track": ("track", "track"),
    }


def _words(layout: Layout) -> dict[str, tuple[str, Convert]]:
    """Columns of few different texts: name made -> name in the CSV, and how each is read."""
    family = layout.family

    def satellite(text: str) -> str:
        return fields.satellite_of(text, family)

    def rank(text: str) -> str:
        return str(PRODUCT_RANKS[fields.version_of(text)[1]])

    def collection(text: str) -> str:
        return _json(collection=fields.version_of(text)[0])

    def processing(text: str) -> str:
        name = fields.version_of(text)[1]
        return _json(processing=name, product_rank=PRODUCT_RANKS[name])

    def confidence(text: str) -> str:
        name, percent = fields.confidence_of(text, family)
        return _json(confidence=name, confidence_percent=percent)

    def level(text: str) -> str:
        return fields.confidence_of(text, family)[0] or ""

    def day(text: str) -> str:
        return _json(is_day=fields.is_day(text))

    def kind(text: str) -> str:
        return _json(detection_type=fields.type_of(text))

    def nothing(text: str) -> str:
        fields.instrument_checked(text, family)
        return ""

    made: dict[str, tuple[str, Convert]] = {
        "to_day": ("acq_date", fields.day_of),
        "to_time": ("acq_time", fields.time_of),
        "to_satellite": ("satellite", satellite),
        "to_rank": ("version", rank),
        "to_collection": ("version", collection),
        "to_processing": ("version", processing),
        "to_confidence": ("confidence", confidence),
        "to_level": ("confidence", level),
        "to_is_day": ("daynight", day),
    }
    if "type" in layout.names:
        made["to_type"] = ("type", kind)
    if "instrument" in layout.names:
        made["to_nothing"] = ("instrument", nothing)
    return made


def _json(**members: str | int | None) -> str:
    """Return members of a JSON object without its braces."""
    return msgspec.json.encode(members).decode()[1:-1]


def _has_five_decimals(name: str) -> pl.Expr:
    """Whether rounding to five decimals leaves a coordinate as it is.

    Within ten characters there are at most eight decimals, so what is nearer to five decimals than
    that has no more than five. Dividing by the scale would not do: a constant divisor becomes a
    factor, which is not exact.
    """
    import polars as pl

    scaled = pl.col(f"{name}_value") * _SCALE
    is_near = (scaled - scaled.round()).abs() < _NEAR
    return is_near & (pl.col(f"{name}_text").str.len_bytes() <= len("-179.12345"))


def _floor(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(f"{name}_value").floor().cast(pl.Int16, strict=False)


def _priority(words: Mapping[str, pl.Expr | str]) -> pl.Expr:
    """The contract's ``priority()``."""
    import polars as pl

    level, rank = _of(words, "to_level"), _of(words, "to_rank")
    is_strong = (pl.col("frp_value") >= STRONG_FRP_MW).fill_null(value=False)
    is_low = (level == "low") | (rank == str(PRODUCT_RANKS["SP"]))
    is_high = (level == "high") & is_strong
    found = pl.when(is_low).then(int(Priority.LOW)).when(is_high).then(int(Priority.HIGH))
    return found.otherwise(int(Priority.NORMAL)).cast(pl.UInt8)


def _payload(layout: Layout) -> str:
    """The contract's ``payload()`` as a template: its fields in their order."""
    kind = "{to_type}" if "type" in layout.names else '"detection_type":null'
    last = "{to_nothing}" if "instrument" in layout.names else ""  # refuses a wrong one only
    return (
        '{{"acquired_at":"{event}","brightness_k":{short_text},"brightness_long_wave_k":{long_text},'
        f'{{to_collection}},{{to_confidence}},{kind},"frp_mw":{{frp_text}},{{to_is_day}},'
        '"latitude":{latitude_text},"longitude":{longitude_text},{to_processing},'
        '"satellite":"{to_satellite}","scan_km":{scan_text},'
        f'"source_family":"{layout.family}","track_km":{{track_text}}{last}}}}}'
    )
