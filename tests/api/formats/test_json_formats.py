"""GeoJSON, JSON and NDJSON: what is in them, whatever the rows hold."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.formats.answer import encoded
from tests.api.formats.making import EMPTY, FULL, LAYOUT, LINE, ROWS, document, form, written


def test_geojson_is_a_collection_with_age_and_origin() -> None:
    body = json.loads(written("geojson"))
    assert body["type"] == "FeatureCollection"
    assert body["numberReturned"] == 3
    assert body["timeStamp"] == "2026-11-21T16:00:00Z"
    assert body["dataVersion"] == "v1"
    assert body["newestAcceptedAt"] == "2026-11-21T15:59:58Z"
    assert body["isSimulated"] is False
    assert body["links"][0]["rel"] == "self"
    assert "numberMatched" not in body


def test_geojson_features_have_their_geometry_apart_and_instants_in_utc() -> None:
    full, empty, point = json.loads(written("geojson"))["features"]
    assert full["id"] == "a\\|b"
    assert full["geometry"] == json.loads(LINE)
    assert full["properties"] == {
        "name": "a|b",
        "height_m": 1.5,
        "count": 7,
        "is_open": True,
        "seen_on": "2026-11-20",
        "seen_at": "2026-11-20T08:30:00.001500Z",
        "notes": {"seen": [1, 2.5]},
        "longitude": -104.5,
        "latitude": 40.75,
    }
    assert empty["geometry"] is None
    assert set(empty["properties"].values()) == {"zero", None}
    assert point["geometry"] == {"type": "Point", "coordinates": [179.5, -10.0]}
    assert point["properties"]["is_open"] is False


def test_one_item_is_a_feature_with_links() -> None:
    body = json.loads(written("geojson", [FULL], is_item=True))
    assert body["type"] == "Feature"
    assert body["isSimulated"] is False
    assert body["links"][0]["rel"] == "self"


def test_a_collection_without_rows_is_whole() -> None:
    body = json.loads(written("geojson", [], number_matched=0))
    assert (body["features"], body["numberReturned"], body["numberMatched"]) == ([], 0, 0)
    assert json.loads(written("json", []))["items"] == []
    assert written("ndjson", []) == b""


def test_json_and_lines_are_flat_and_say_the_same() -> None:
    items = json.loads(written("json"))["items"]
    lines = [json.loads(line) for line in written("ndjson").splitlines()]
    assert items == lines
    assert items[0]["shape"] == json.loads(LINE)


def test_only_the_properties_that_are_asked_for_are_shown() -> None:
    body = json.loads(written("geojson", shown=("count",)))
    assert body["features"][0]["properties"] == {"count": 7}
    assert body["features"][0]["geometry"] is not None
    assert json.loads(written("json", shown=("count",)))["items"][1] == {"count": None}


def test_rows_that_come_in_pieces_make_the_same_document() -> None:
    for name in ("geojson", "json", "ndjson"):
        encoder = form(name).encoder(document())
        parts = [encoder.begin(), encoder.rows([]), encoder.rows(ROWS[:1]), encoder.rows(ROWS[1:])]
        assert b"".join([*parts, encoder.end()]) == written(name)


@pytest.mark.parametrize("text", ["{", "NaN", '{"a":1}x', "", "[1,]", "'a'"])
def test_text_that_is_no_json_is_shown_as_text_and_the_document_stays_whole(text: str) -> None:
    row = list(FULL)
    row[LAYOUT.index("notes")] = row[LAYOUT.index("shape")] = text
    body = json.loads(written("geojson", [tuple(row)]))
    assert body["features"][0]["properties"]["notes"] == text
    assert body["features"][0]["geometry"] == {"type": "Point", "coordinates": [-104.5, 40.75]}


def test_decimals_keep_their_digits() -> None:
    row = list(EMPTY)
    row[LAYOUT.index("height_m")] = Decimal("999999999999.123456")
    assert b'"height_m":999999999999.123456' in written("ndjson", [tuple(row)])


def test_an_instant_that_python_does_not_have_is_shown_as_starrocks_wrote_it() -> None:
    row = list(EMPTY)
    row[LAYOUT.index("seen_at")] = "0000-01-01 00:00:00"
    assert json.loads(written("ndjson", [tuple(row)]))["seen_at"] == "0000-01-01 00:00:00"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OBJECTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
POSTED = st.tuples(
    TEXTS,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(0, 1),
    st.none() | st.dates(),
    st.none() | st.datetimes(),
    st.none() | OBJECTS.map(json.dumps),
    st.none(),
    st.none(),
    st.none(),
)


@given(st.lists(POSTED, max_size=5))
def test_lines_hold_what_the_rows_held(rows: list[tuple[Any, ...]]) -> None:
    lines = encoded(form("ndjson"), document(), rows).decode().split("\n")
    assert lines.pop() == ""
    for line, row in zip(lines, rows, strict=True):
        read = json.loads(line)
        name, height, count, is_open, day, at, notes = row[:7]
        assert (read["name"], read["height_m"], read["count"]) == (name, height, count)
        assert read["is_open"] == (None if is_open is None else bool(is_open))
        assert read["seen_on"] == (None if day is None else day.isoformat())
        if at is not None:
            assert read["seen_at"].endswith("Z")
            assert datetime.fromisoformat(read["seen_at"][:-1]) == at
        assert read["notes"] == (None if notes is None else json.loads(notes))
