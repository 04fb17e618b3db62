"""The fast way of FIRMS says what the slow way says, byte for byte, whatever the file holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdata.errors import DocumentError, EmdataError
from emdata.settings import load_settings
from scrapers.base import Document
from scrapers.offline import document_of, idle, parse_rows
from scrapers.sources.firms import FirmsFireDetections

SCRAPER = idle(FirmsFireDetections, load_settings({}, env_file=None))
VIIRS = (
    "latitude", "longitude", "bright_ti4", "scan", "track", "acq_date", "acq_time", "satellite",
    "instrument", "confidence", "version", "bright_ti5", "frp", "daynight",
)  # fmt: skip
MODIS = tuple({"bright_ti4": "brightness", "bright_ti5": "bright_t31"}.get(n, n) for n in VIIRS)
GOOD = {
    "latitude": "39.76", "longitude": "-121.62", "bright_ti4": "331.4", "brightness": "331.4",
    "scan": "0.41", "track": "0.45", "acq_date": "2026-11-20", "acq_time": "659",
    "satellite": "N", "instrument": "", "confidence": "n", "version": "2.0NRT",
    "bright_ti5": "289.12", "bright_t31": "289.12", "frp": "6.31", "daynight": "N", "type": "0",
    "country_id": "USA",
}  # fmt: skip


@dataclass
class Outcome:
    """What became of a document: what is sent, a tuple per record, and what was rejected."""

    sent: list[tuple[object, ...]] = field(default_factory=list)
    rejected: list[tuple[bytes, str, str]] = field(default_factory=list)
    newest: datetime | None = None
    error: str | None = None


def slowly(document: Document) -> Outcome:
    """Row by row, as ``rows`` and ``parse`` say."""
    found = Outcome()
    try:
        for row in parse_rows(SCRAPER, document):
            if row.rejected is not None:
                found.rejected.append((row.raw, row.rejected.code, str(row.rejected)))
            for r in row.records:
                found.sent.append((
                    r.kafka_key(), r.record_key(), r.version_text(), r.payload(), r.key_hash(),
                    r.content_hash(), int(r.priority()),
                ))  # fmt: skip
                event = getattr(r, r.dataset.event_time)
                found.newest = event if found.newest is None else max(event, found.newest)
    except DocumentError as error:
        found.error = str(error)
    return found


def fast(document: Document) -> Outcome:
    """Column by column."""
    found = Outcome()
    try:
        for part in SCRAPER.prepare(document) or ():
            batch = part.batch
            found.sent += zip(
                batch.kafka_keys, batch.record_keys, batch.versions, batch.payloads,
                batch.key_hashes, batch.content_hashes, batch.priorities, strict=True,
            )  # fmt: skip
            found.rejected += [(raw, error.code, str(error)) for raw, error in part.rejected]
            if batch.newest_event is not None:
                newest = batch.newest_event
                found.newest = newest if found.newest is None else max(newest, found.newest)
    except DocumentError as error:
        found.error = str(error)
    return found


def same(body: bytes) -> Outcome:
    """Assert that both ways agree; return what they say."""
    document = document_of(body, "firms.csv")
    expected = slowly(document)
    if expected.error is None and SCRAPER.prepare(document) is None:
        assert expected.sent == [], "only a file without a good row may go the slow way"
    else:
        assert fast(document) == expected
    return expected


def csv(names: Sequence[str], rows: Sequence[Sequence[str]], end: str = "\n") -> bytes:
    """Join a header and rows."""
    return end.join(",".join(row) for row in (names, *rows)).encode() + end.encode()


def row(names: Sequence[str] = VIIRS, **changed: str) -> list[str]:
    """One good row with some values changed."""
    good = {**GOOD, "satellite": "Terra", "confidence": "81"} if "brightness" in names else GOOD
    return [{**good, **changed}[name] for name in names]


def decimal(digits: int, places: int) -> st.SearchStrategy[str]:
    """Numbers as sources write them: with and without decimals, zeros at both ends, signs."""
    number = st.integers(-(10**digits), 10**digits)
    return st.builds(lambda n, p: f"{n / 10**p:.{p}f}", number, st.integers(0, places))


ODD_NUMBERS = st.one_of(
    st.sampled_from([
        "", " ", "0", "-0", "-0.0", "0.00001", "1e-5", "1e5", "1E2", "+1", "1.", ".5", "5.", "nan",
        "NaN", "inf", "-inf", "1_0", "1e400", "1e0001", "0x10", "1,5", "00.5", "007", " 12.5",
        "12.5 ", "1" * 70, "0." + "1" * 30, "9007199254740993", "12345678901234567890", "1f", "१",
        "-999", "−1", "1\t", "null", "None", "12.345678", "-179.123456", "0.0009", "0.001",
        "89.999999999", "90.0000001", "1" + "0" * 12, "9.999999999999999", "0.30000000000000004",
    ]),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.text("0123456789.+-eE_ ", max_size=6),
)  # fmt: skip
NUMBERS = st.one_of(decimal(7, 5), decimal(5, 2), ODD_NUMBERS)
TEXTS = {
    "latitude": NUMBERS, "longitude": NUMBERS, "bright_ti4": NUMBERS, "brightness": NUMBERS,
    "scan": NUMBERS, "track": NUMBERS, "bright_ti5": NUMBERS, "bright_t31": NUMBERS,
    "frp": st.one_of(NUMBERS, st.just("")),
    "acq_date": st.one_of(
        st.dates().map(str),
        st.sampled_from(["2026-02-30", "20261120", "", "2026-11-20 ", "1999-12-31", "2026-W01-1"]),
    ),
    "acq_time": st.one_of(
        st.integers(0, 2400).map(str), st.integers(0, 2359).map("{:04d}".format),
        st.sampled_from(["", "2460", "12:30", "-5", "+5", "5.0", " 659", "00005"]),
    ),
    "satellite": st.sampled_from(
        ["N", "N20", "N21", "1", "Terra", "Aqua", "T", "A", "terra", "", "L8", " N", "N2|0", "n20"]
    ),
    "instrument": st.sampled_from(["VIIRS", "MODIS", "", " VIIRS", "OLI"]),
    "confidence": st.sampled_from(
        ["l", "n", "h", "low", "nominal", "high", "High", "0", "29", "30", "79", "80", "100", "101",
         "55.5", "", "x", "nope", "-1"]
    ),
    "version": st.sampled_from(
        ["2.0NRT", "2.0URT", "2.0RT", "6.1NRT", "6.2", "2", "61.03", "1SP", "", "NRT", "2.0XRT"]
    ),
    "daynight": st.sampled_from(["D", "N", "", "d", " D"]),
    "type": st.sampled_from(["0", "1", "2", "3", "4", "", " 1"]),
    "country_id": st.sampled_from(["USA", "", "Côte d'Ivoire", '"a,b"', "\x00", "a\x0bb", "\x1c"]),
}  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of either family: rows mostly good, with any values, ends of line and lengths."""
    names = list(draw(st.sampled_from([VIIRS, MODIS])))
    names += draw(st.lists(st.sampled_from(["type", "country_id"]), unique=True))
    names = draw(st.permutations(names))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        wild = draw(st.lists(st.sampled_from(names), max_size=3))
        made = row(names, **{name: draw(TEXTS[name]) for name in wild})
        cut = draw(st.integers(0, 12))
        made = made[:-1] if cut == 0 else [*made, ""] if cut == 1 else made
        made = [*made, "", "x"] if cut == 2 else [*made, "x"] if cut == 3 else made
        made = [f'"{value}"' for value in made] if cut == 4 else made
        rows.append(made)
    end = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n"]))
    body = csv(names, rows, end)
    return draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + body


@pytest.mark.integration
@settings(max_examples=150, deadline=None)
@given(files())
def test_columns_say_what_rows_say_byte_for_byte(body: bytes) -> None:
    same(body)


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(max_examples=5_000, deadline=None)
@given(files())
def test_columns_say_what_rows_say_byte_for_byte_at_length(body: bytes) -> None:
    same(body)


def test_fault_26_a_bad_row_costs_itself_and_keeps_its_bytes() -> None:
    bad = row(frp="many"), row(latitude="91"), row()[:-1], [*row(), "x"], row(acq_time="2460")
    lines = [row(latitude=f"{10 + i}.5") for i in range(6)]
    mixed = [line for pair in zip(lines, bad, strict=False) for line in pair] + lines[5:]
    found = same(csv(VIIRS, mixed))
    assert [raw for raw, _, _ in found.rejected] == [",".join(line).encode() for line in bad]
    assert {code for _, code, _ in found.rejected} == {"row"}
    assert [str(one[1]).split("|")[3] for one in found.sent] == [f"{10 + i}.5" for i in range(6)]


@pytest.mark.integration
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_more_rows_than_fit_at_once_keep_their_order(end: str) -> None:
    rows = [row(latitude=f"{i % 80}.{i:05d}"[:8], frp="" if i % 3 else "70") for i in range(4500)]
    rows[2000] = row(confidence="wrong")
    rows[4499] = row(version="")
    rows[10] = [f'"{value}"' for value in rows[10]]
    found = same(csv(VIIRS, rows, end))
    assert (len(found.sent), len(found.rejected)) == (4498, 2)


def test_fault_27_a_renamed_column_rejects_every_row_and_says_which() -> None:
    names = ["frp_mw" if name == "frp" else name for name in VIIRS]
    found = same(csv(names, [row(), row()]))
    assert len(found.rejected) == 2
    assert "columns are missing: frp; unknown columns: frp_mw" in found.rejected[0][2]


@pytest.mark.parametrize("names", [VIIRS, MODIS])
def test_order_of_columns_and_new_columns_mean_nothing(names: Sequence[str]) -> None:
    expected = same(csv(names, [row(names)])).sent
    turned = [*reversed(names), "ntree"]
    assert same(csv(turned, [[*reversed(row(names)), "5"]])).sent == expected


@pytest.mark.parametrize(
    "text", ["-0", "-0.0", "1e0001", "0.00001", "44.29000", "5", "-179.9999999"]
)
def test_numbers_that_encoders_write_in_different_ways(text: str) -> None:
    same(csv(VIIRS, [row(latitude=text), row(longitude=text), row(frp=text), row(scan=text)]))


def test_errors_of_the_server_are_documents_of_another_kind() -> None:
    for body in (b"Invalid MAP_KEY.", b"Exceeding allowed transaction limit", b"<html></html>"):
        document = document_of(body, "x")
        assert slowly(document).error
        with pytest.raises(EmdataError):
            SCRAPER.prepare(document)
