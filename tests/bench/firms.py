"""FIRMS CSV to bytes for Kafka, against the loops that one would write otherwise.

Every way reads the same bytes and gives Kafka key, record key, version, JSON value and priority of
each pixel; the loops' answers are compared with ours first. Bare polars reads the same file,
makes the same columns and writes them with ``write_ndjson``. Rounds are interleaved, and the
figure is the median of the ratios of each round.
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from emdata.contracts.identity import utc_text
from emdata.settings import load_settings
from scrapers.columnar_csv import read_table
from scrapers.firms_columns import VERSIONS, pixel_columns
from scrapers.firms_fields import layout_of
from scrapers.offline import document_of, idle
from scrapers.prepared import SentRows, sent_rows
from scrapers.sources.firms import FirmsFireDetections
from tests.bench.figures import Figure, report

ROWS = 120_000
ROUNDS = 5
_HEADER = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,"
    "version,bright_ti5,frp,daynight"
)
_CLASSES = {"l": "low", "n": "nominal", "h": "high"}
_RANKS = {"RT": 0, "URT": 1, "NRT": 2}


def make_csv(rows: int, seed: int = 1) -> bytes:
    """Make a file of VIIRS as the area API writes it."""
    draw = random.Random(seed)
    lines = [_HEADER]
    for _ in range(rows):
        latitude, longitude = draw.uniform(-60, 70), draw.uniform(-180, 180)
        time = draw.randrange(24) * 100 + draw.randrange(60)
        frp = "" if draw.random() < 0.01 else f"{draw.expovariate(0.1):.2f}".rstrip("0").rstrip(".")
        lines.append(
            f"{latitude:.5f},{longitude:.5f},{round(draw.uniform(290, 367), 2)},"
            f"{round(draw.uniform(0.3, 0.8), 2)},{round(draw.uniform(0.3, 0.8), 2)},"
            f"2026-11-{draw.randint(19, 20)},{time},{draw.choice(('N', 'N20', 'N21'))},VIIRS,"
            f"{draw.choice('lnnnh')},2.0NRT,{round(draw.uniform(270, 310), 2)},{frp},"
            f"{draw.choice('DN')}"
        )
    return ("\n".join(lines) + "\n").encode()


def ours(body: bytes) -> SentRows:
    """The way of the platform."""
    layout = layout_of(body[: body.index(b"\n")], "bench")
    sent = pixel_columns(read_table(body.strip(), layout.names).frame, layout)
    return sent_rows(sent.filter(sent["is_sure"]), VERSIONS)


def with_hashes(body: bytes) -> int:
    """The same with key and content hashes, in the pieces that the buffer takes."""
    parts = _SCRAPER.prepare(document_of(body, "bench"))
    return sum(len(part.batch) for part in parts or ())


_SCRAPER = idle(FirmsFireDetections, load_settings({}, env_file=None))


def dict_reader_loop(body: bytes) -> SentRows:
    """A dict per row, as most scripts do."""
    found = SentRows([], [], [], [], [])
    for row in csv.DictReader(io.StringIO(body.decode())):
        latitude, longitude = float(row["latitude"]), float(row["longitude"])
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            continue
        stamp = row["acq_date"] + row["acq_time"].zfill(4)
        text = utc_text(datetime.strptime(stamp, "%Y-%m-%d%H%M").replace(tzinfo=UTC))
        processing = row["version"].lstrip("0123456789.")
        frp = float(row["frp"]) if row["frp"] else None
        confidence = _CLASSES[row["confidence"]]
        value = {
            "acquired_at": text,
            "brightness_k": float(row["bright_ti4"]),
            "brightness_long_wave_k": float(row["bright_ti5"]),
            "collection": row["version"].removesuffix(processing),
            "confidence": confidence,
            "confidence_percent": None,
            "detection_type": None,
            "frp_mw": frp,
            "is_day": row["daynight"] == "D",
            "latitude": latitude,
            "longitude": longitude,
            "processing": processing,
            "product_rank": _RANKS[processing],
            "satellite": row["satellite"],
            "scan_km": float(row["scan"]),
            "source_family": "VIIRS",
            "track_km": float(row["track"]),
        }
        found.kafka_keys.append(f"geo_{math.floor(latitude)}_{math.floor(longitude)}")
        found.record_keys.append(f"VIIRS|{row['satellite']}|{text}|{latitude}|{longitude}")
        found.versions.append(VERSIONS[_RANKS[processing]])
        found.payloads.append(json.dumps(value, separators=(",", ":")).encode())
        found.priorities.append(_priority(confidence, frp))
    return found


def reader_loop(body: bytes) -> SentRows:
    """csv.reader by index, instants and words looked up, JSON written by hand."""
    found = SentRows([], [], [], [], [])
    keys, records, versions = found.kafka_keys, found.record_keys, found.versions
    payloads, priorities, floor = found.payloads, found.priorities, math.floor
    instants: dict[tuple[str, str], str] = {}
    suffixes = {f"2.0{name}": (name, rank) for name, rank in _RANKS.items()}
    rows = csv.reader(io.StringIO(body.decode()))
    next(rows)
    for (
        lat, lon, short, scan, track, day, time, satellite, _, mark, version, long, power, light,
    ) in rows:  # fmt: skip
        latitude, longitude = float(lat), float(lon)
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            continue
        text = instants.get((day, time))
        if text is None:
            hhmm = time.zfill(4)
            text = instants[day, time] = f"{day}T{hhmm[:2]}:{hhmm[2:]}:00.000000"
        processing, rank = suffixes[version]
        frp = float(power) if power else None
        confidence = _CLASSES[mark]
        payloads.append(
            f'{{"acquired_at":"{text}","brightness_k":{float(short)},'
            f'"brightness_long_wave_k":{float(long)},"collection":"2.0",'
            f'"confidence":"{confidence}","confidence_percent":null,"detection_type":null,'
            f'"frp_mw":{"null" if frp is None else frp},'
            f'"is_day":{"true" if light == "D" else "false"},"latitude":{latitude},'
            f'"longitude":{longitude},"processing":"{processing}","product_rank":{rank},'
            f'"satellite":"{satellite}","scan_km":{float(scan)},"source_family":"VIIRS",'
            f'"track_km":{float(track)}}}'.encode()
        )
        keys.append(f"geo_{floor(latitude)}_{floor(longitude)}")
        records.append(f"VIIRS|{satellite}|{text}|{latitude}|{longitude}")
        versions.append(VERSIONS[rank])
        priorities.append(_priority(confidence, frp))
    return found


def _priority(confidence: str, frp: float | None) -> int:
    if confidence == "low":
        return 3
    return 1 if confidence == "high" and (frp or 0.0) >= 50 else 2


def bare_polars(body: bytes) -> str:
    """read_csv, the same columns, write_ndjson."""
    import polars as pl

    frame = pl.read_csv(body, schema_overrides={"acq_time": pl.String})
    digits = pl.col("acq_time").str.zfill(4)
    instant = pl.format(
        "{}T{}:{}:00.000000", "acq_date", digits.str.slice(0, 2), digits.str.slice(2)
    )
    level = pl.col("confidence").replace_strict(_CLASSES)
    processing = pl.col("version").str.strip_chars_start("0123456789.")
    rank = processing.replace_strict(_RANKS)
    is_high = (level == "high") & (pl.col("frp") >= 50)
    return (
        frame.filter(pl.col("latitude").is_between(-90, 90))
        .with_columns(acquired_at=instant)
        .select(
            "acquired_at", "latitude", "longitude", "satellite",
            pl.col("bright_ti4").alias("brightness_k"),
            pl.col("bright_ti5").alias("brightness_long_wave_k"),
            pl.col("version").str.slice(0, 3).alias("collection"),
            level.alias("confidence"),
            pl.lit(None).alias("confidence_percent"), pl.lit(None).alias("detection_type"),
            pl.col("frp").alias("frp_mw"), (pl.col("daynight") == "D").alias("is_day"),
            processing.alias("processing"), rank.alias("product_rank"),
            pl.col("scan").alias("scan_km"), pl.lit("VIIRS").alias("source_family"),
            pl.col("track").alias("track_km"),
            pl.format("geo_{}_{}", pl.col("latitude").floor().cast(pl.Int16),
                      pl.col("longitude").floor().cast(pl.Int16)).alias("kafka_key"),
            pl.format("VIIRS|{}|{}|{}|{}", "satellite", "acquired_at", "latitude",
                      "longitude").alias("record_key"),
            pl.when(level == "low").then(3).when(is_high).then(1).otherwise(2).alias("priority"),
        )
        .write_ndjson()
    )  # fmt: skip


def _seconds(call: Callable[[bytes], object], body: bytes) -> float:
    started = perf_counter()
    call(body)
    return perf_counter() - started


def compare(body: bytes) -> None:
    """Hold the loops to our answer on a part of the file; AssertionError where they differ."""
    part = b"\n".join(body.split(b"\n")[:5001])
    mine = ours(part)
    for other in (dict_reader_loop(part), reader_loop(part)):
        if not len(mine.payloads) >= 4990 or not set(mine.payloads) <= set(other.payloads):
            raise AssertionError("a loop gives other values than the columns")
        for name in ("kafka_keys", "record_keys"):
            if not set(getattr(mine, name)) <= set(getattr(other, name)):
                raise AssertionError(f"a loop gives other {name} than the columns")


def firms(rows: int = ROWS, rounds: int = ROUNDS) -> list[Figure]:
    """Return the ratios, medians over interleaved rounds; a bar of 0 is none.

    The last one holds ours with SHA-256 of every key and value to the loop without.
    """
    body = make_csv(rows)
    compare(body)
    ways: dict[str, Callable[[bytes], object]] = {
        "ours": ours, "dict": dict_reader_loop, "reader": reader_loop, "polars": bare_polars,
        "hashes": with_hashes,
    }  # fmt: skip
    ours(body)  # loads polars and starts its threads
    taken = [{name: _seconds(way, body) for name, way in ways.items()} for _ in range(rounds)]

    def times(name: str) -> float:
        return median(one[name] / one["ours"] for one in taken)

    hashed = median(one["dict"] / one["hashes"] for one in taken)
    return [
        Figure("firms_over_dict_reader", times("dict"), "x", 10, 10, is_floor=True),
        Figure("firms_over_csv_reader", times("reader"), "x", 3, 3, is_floor=True),
        Figure("firms_of_bare_polars", times("polars"), "x", 0, 0.7, is_floor=True),
        Figure("firms_with_hashes_over_dict_reader", hashed, "x", 0, 10, is_floor=True),
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure; exit code 1 when a bar is missed. ``--rows N`` for a shorter run."""
    rows = int(arguments[1]) if arguments[:1] == ["--rows"] else ROWS
    return report(firms(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
