"""Properties of the small parsers: VTEC, station times, numbers, rates, rows."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scrapers
from emdata.contracts.base import duration
from emdata.errors import ContractError, DocumentError, RowError
from scrapers import values, wire
from scrapers.alert_state import expired_references
from scrapers.http import parse_rate
from scrapers.httpdate import http_date, retry_after_seconds
from scrapers.station_time import network_zone, station_instant
from scrapers.vtec import ACTIONS, parse_vtec

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
minutes = st.datetimes(
    min_value=datetime(2005, 1, 1),  # noqa: DTZ001
    max_value=datetime(2089, 12, 31),  # noqa: DTZ001
).map(lambda d: d.replace(second=0, microsecond=0))


@given(
    st.sampled_from("OTEX"),
    st.sampled_from(sorted(ACTIONS)),
    st.from_regex(r"[A-Z]{4}", fullmatch=True),
    st.from_regex(r"[A-Z]{2}", fullmatch=True),
    st.sampled_from("WAYSFON"),
    st.integers(min_value=0, max_value=9999),
    st.none() | minutes,
    st.none() | minutes,
)
def test_vtec_is_read_back_as_written(
    kind: str,
    action: str,
    office: str,
    phenomenon: str,
    significance: str,
    number: int,
    begin: datetime | None,
    end: datetime | None,
) -> None:
    times = [f"{t:%y%m%dT%H%MZ}" if t else "000000T0000Z" for t in (begin, end)]
    text = f"/{kind}.{action}.{office}.{phenomenon}.{significance}.{number:04d}.{'-'.join(times)}/"
    vtec = parse_vtec(f" {text}\n")
    assert vtec is not None
    assert (vtec.product_class, vtec.action, vtec.office) == (kind, action, office)
    assert vtec.event_class == f"{phenomenon}.{significance}"
    assert vtec.begins_at == (begin and begin.replace(tzinfo=UTC))
    assert vtec.ends_at == (end and end.replace(tzinfo=UTC))
    year = end.year if end else NOW.year
    assert vtec.event_key(NOW) == f"{office}.{phenomenon}.{significance}.{number:04d}.{year}"
    assert vtec.is_closing is (action in ("CAN", "EXP", "UPG"))


@given(st.text(max_size=80))
def test_what_is_no_vtec_is_none_and_never_an_error(text: str) -> None:
    assert parse_vtec(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "/00000.0.ER.000000T0000Z.000000T0000Z.000000T0000Z.OO/",
        "/O.NEW.KBOU.TO.W.0031.261318T2002Z-260618T2045Z/",
        "/O.NEW.KBOU.TO.W.0031.260618T2502Z-260618T2045Z/",
        "/O.XYZ.KBOU.TO.W.0031.260618T2002Z-260618T2045Z/",
        "O.NEW.KBOU.TO.W.0031.260618T2002Z-260618T2045Z",
        "",
    ],
)
def test_hydrologic_and_broken_vtec_lines_are_not_events(text: str) -> None:
    assert parse_vtec(text) is None


@given(minutes, st.sampled_from(["mst", "utc"]))
def test_station_times_are_read_in_both_formats(local: datetime, zone: str) -> None:
    expected = local.replace(tzinfo=UTC) + timedelta(hours=7 if zone == "mst" else 0)
    for text in (
        f"{local:%Y-%m-%dT%H:%M}",
        f"{local:%Y-%m-%d %H:%M:%S}",
        f"{local:%m/%d/%Y %H:%M}",
    ):
        assert station_instant(text, network_zone(zone, None)) == expected
    own = f"{local:%Y-%m-%dT%H:%M}-05:00"
    assert station_instant(own, network_zone(zone, None)) == local.replace(tzinfo=UTC) + timedelta(
        hours=5
    )


@given(st.text(max_size=40))
def test_a_station_time_is_an_instant_or_a_row_error(text: str) -> None:
    try:
        found = station_instant(text, UTC)
    except RowError:
        return
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-18T24:01",
        "2026-06-18T25:00",
        "2026-06-18T-1:00",
        "06/18/2026 12:60",
        "2026-02-30T01:00",
    ],
)
def test_times_beyond_the_day_are_rejected(text: str) -> None:
    with pytest.raises(RowError):
        station_instant(text, UTC)


def test_midnight_at_the_end_of_the_day_is_the_next_day() -> None:
    assert station_instant("2026-12-31T24:00", UTC) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-08T02:30", "2026-11-01T01:30"])
def test_local_times_that_daylight_saving_skips_or_repeats_are_rejected(text: str) -> None:
    zone = network_zone("co", None)
    with pytest.raises(RowError, match="daylight saving"):
        station_instant(text, zone)
    assert station_instant("2026-07-01T12:00", zone) == datetime(2026, 7, 1, 18, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(["s", "min", "h", "d"]))
def test_durations_and_rates_are_read_as_written(count: int, unit: str) -> None:
    seconds = {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert duration(f"{count}{unit}").total_seconds() == count * seconds
    if count:
        assert parse_rate(f"{count}/{unit}") == (float(count), float(seconds))


@pytest.mark.parametrize("text", ["", "1", "0/s", "-1/s", "1/y", "1.5/s", "x/s", "1/s/s"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        parse_rate(text)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_is_the_same_as_text(number: float) -> None:
    assert values.number(repr(number), "x") == values.number(number, "x") == number


@given(st.integers(min_value=0, max_value=10**12))
def test_thousands_may_carry_commas_where_that_is_expected(number: int) -> None:
    assert values.number(f"{number:,}.50", "x", thousands=True) == number + 0.5
    if number > 999:
        with pytest.raises(RowError):
            values.number(f"{number:,}", "x")


@given(st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists, max_leaves=9))
def test_any_value_is_a_finite_number_missing_or_a_row_error(value: Any) -> None:
    try:
        found = values.number(value, "x")
    except RowError:
        return
    assert found is None or isinstance(found, float)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 0, 2]))
def test_cutting_by_brackets_agrees_with_decoding(rows: list[Any], indent: int | None) -> None:
    body = json.dumps(rows, indent=indent).encode()
    plain = wire.array(body, what="x")
    assert [json.loads(bytes(raw)) for raw in plain] == rows
    # One poisonous row more, and the decoder gives up; the others must come out the same.
    poisoned = body[:-1].rstrip() + (b"," if rows else b"") + b' {"p": NaN, "q": "]}\\"["} ]'
    cut = wire.array(poisoned, what="x")
    assert [bytes(raw) for raw in cut[:-1]] == [bytes(raw) for raw in plain]
    assert bytes(cut[-1]) == b'{"p": NaN, "q": "]}\\"["}'


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_rows_or_a_document_error(body: bytes) -> None:
    for cut in (wire.array, wire.envelope):
        try:
            cut(body, what="x")
        except DocumentError:
            continue
    try:
        wire.csv_rows(body)
    except DocumentError:
        return


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), min_size=1, max_size=5))
def test_csv_rows_keep_their_bytes_and_their_fields(table: list[list[str]]) -> None:
    table = [[c.replace("\x00", "").replace("\r", "") for c in row] for row in table]
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    rows = wire.csv_rows(("a,b\r\n" + "\r\n".join(lines) + "\r\n").encode())
    assert [wire.csv_fields(raw) for raw in rows] == table
    assert [bytes(raw).decode() for raw in rows] == lines


def test_a_quote_that_never_ends_is_a_document_error() -> None:
    with pytest.raises(DocumentError, match="never ends"):
        wire.csv_rows(b'a,b\n1,"2\n3,4\n')


def test_expired_references_are_one_text_of_triples() -> None:
    text = "a@b.c,urn:1,2026-06-18T12:00:00-06:00 a@b.c,urn:2,nonsense"
    first, second = expired_references([text])
    assert (first.identifier, second.identifier) == ("urn:1", "urn:2")
    assert second.sent_at is None
    with pytest.raises(RowError):
        expired_references(["a@b.c,urn:1"])


SIZE = 100_000
HOSTILE = {
    "digits": "1" * SIZE,
    "letters": "a" * SIZE,
    "dots": "/O.NEW." + "." * SIZE,
    "quotes": '"' * SIZE,
    "escapes": '"' + "\\" * SIZE,
    "open strings": '"a' * (SIZE // 2),
    "brackets": "[" * SIZE,
    "dashes": "2026-" * (SIZE // 5),
    "almost a number": "1" * SIZE + "x",
    "almost a time": "2026-06-18T12:00:00." + "0" * SIZE + "x",
    "blanks": " " * SIZE + "x",
    "commas": "," * SIZE,
    "underscores": "a_" * (SIZE // 2) + "!",
}


def _patterns() -> dict[str, re.Pattern[Any]]:
    found = {}
    for info in pkgutil.walk_packages(scrapers.__path__, "scrapers."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                found[f"{info.name}.{name}"] = value
    return found


def _seconds(run: Callable[[], object]) -> float:
    """The best of three, because the machine is shared."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("name", _patterns())
def test_fault_48_no_pattern_backtracks_over_hostile_text(name: str, shape: str) -> None:
    pattern, text = _patterns()[name], HOSTILE[shape]
    subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text

    def run() -> None:
        pattern.fullmatch(subject)
        pattern.match(subject)

    # A pattern that goes back over 100 kB needs 10^10 steps: minutes, not milliseconds.
    assert _seconds(run) < 0.05


@pytest.mark.parametrize("shape", HOSTILE)
def test_fault_48_no_parser_of_text_is_slower_than_its_input_is_long(shape: str) -> None:
    text = HOSTILE[shape]
    errors = (RowError, DocumentError, ContractError, msgspec.MsgspecError)

    def quietly(parser: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                parser()
            except errors:
                return

        return run

    parsers: list[Callable[[], object]] = [
        lambda: parse_vtec(text),
        lambda: retry_after_seconds(text, NOW),
        lambda: http_date(text),
        lambda: station_instant(text, UTC),
        lambda: values.number(text, "x"),
        lambda: values.instant(text, "x"),
        lambda: values.utc_offset(text),
        lambda: wire.csv_fields(text.encode()),
        lambda: parse_rate(text),
    ]
    for parser in parsers:
        assert _seconds(quietly(parser)) < 0.05
    # Cutting makes an object per piece, 100,000 of them; going back would take minutes.
    body = text.encode()
    for cut in (wire.array, wire.envelope):
        assert _seconds(quietly(lambda cut=cut: cut(b"[" + body, what="x"))) < 3  # type: ignore[misc]
