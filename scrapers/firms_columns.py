"""FIRMS' CSV to bytes for Kafka, column by column, without an object per row.

What comes out equals what ``firms_fields.record_of`` and the contract give row by row, byte for
byte; rows in doubt are left to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from emdata.contracts.base import Priority
from emdata.contracts.firms import PRODUCT_RANKS, STRONG_FRP_MW
from scrapers import firms_fields as fields
from scrapers.columnar_csv import Convert, is_sure_number, number, odd_numbers, replaced
from scrapers.firms_fields import BOUNDS, DECIMALS, Layout

if TYPE_CHECKING:
    import polars as pl

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

    numbers, words = _numbers(layout), _words(layout)
    made = frame.with_columns(
        *(number(name).alias(f"{to}_value") for to, (name, _) in numbers.items()),
        *replaced(frame, words),
    )
    made = made.with_columns(
        pl.col(f"{to}_value").cast(pl.String).fill_null("null").alias(f"{to}_text")
        for to in numbers
    )
    odd = odd_numbers(made, {f"{to}_text": name for to, (name, _) in numbers.items()})
    is_sure = pl.all_horizontal(
        *(
            is_sure_number(f"{to}_value", name, BOUNDS[kind], or_blank=to not in _ALWAYS)
            for to, (name, kind) in numbers.items()
        ),
        *(_has_five_decimals(name) for name in _ALWAYS),
        *(pl.col(name).is_not_null() for name in words),
    )
    if odd is not None:
        is_sure = is_sure & ~pl.lit(odd)
    made = made.with_columns(
        is_sure.alias("is_sure"), pl.format("{}T{}:00.000000", "to_day", "to_time").alias("event")
    )
    return made.select(
        pl.format("geo_{}_{}", _floor("latitude"), _floor("longitude")).alias("kafka_key"),
        pl.format(
            f"{layout.family}|{{}}|{{}}|{{}}|{{}}",
            "to_satellite", "event", "latitude_text", "longitude_text",
        ).alias("record_key"),
        _payload(layout).alias("payload"),
        "event",
        pl.col("to_rank").cast(pl.UInt8).alias("rank"),
        _priority().alias("priority"),
        "is_sure",
    )  # fmt: skip


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


def _priority() -> pl.Expr:
    """The contract's ``priority()``."""
    import polars as pl

    is_low = (pl.col("to_level") == "low") | (pl.col("to_rank") == str(PRODUCT_RANKS["SP"]))
    is_high = (pl.col("to_level") == "high") & (pl.col("frp_value") >= STRONG_FRP_MW).fill_null(
        value=False
    )
    found = pl.when(is_low).then(int(Priority.LOW)).when(is_high).then(int(Priority.HIGH))
    return found.otherwise(int(Priority.NORMAL)).cast(pl.UInt8)


def _payload(layout: Layout) -> pl.Expr:
    """The contract's ``payload()``: its fields in their order."""
    import polars as pl

    kind = "{}" if "type" in layout.names else '"detection_type":null'
    last = "{}" if "instrument" in layout.names else ""  # refuses a wrong one, adds nothing
    template = (
        '{{"acquired_at":"{}","brightness_k":{},"brightness_long_wave_k":{},{},{},'
        f'{kind},"frp_mw":{{}},{{}},"latitude":{{}},"longitude":{{}},{{}},"satellite":"{{}}",'
        f'"scan_km":{{}},"source_family":"{layout.family}","track_km":{{}}{last}}}}}'
    )
    columns = [
        "event", "short_text", "long_text", "to_collection", "to_confidence",
        "to_type", "frp_text", "to_is_day", "latitude_text", "longitude_text", "to_processing",
        "to_satellite", "scan_text", "track_text", "to_nothing",
    ]  # fmt: skip
    missing = {"to_type"} if "type" not in layout.names else set()
    missing |= {"to_nothing"} if "instrument" not in layout.names else set()
    return pl.format(template, *(name for name in columns if name not in missing))
