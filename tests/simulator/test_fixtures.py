"""A source without a simulation of its own is served from files, shifted in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.errors import ServiceError
from simulator.fixtures.shifting import newest, shifted
from simulator.instants import read_iso
from tests.simulator.running import simulator

HOST = "quakes.example.org"
NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
DOCUMENT: dict[str, Any] = {
    "generated": "2020-05-01T18:00:00Z",
    "features": [
        {"id": "a", "at": "2020-05-01T11:30:00.250-06:00", "ms": 1_588_333_800_000, "mag": 3.1},
        {"id": "b", "at": "2020-04-30T12:00:00Z", "day": "2020-04-30", "note": "2020 was dry"},
    ],
}


def folder(directory: Path, manifest: dict[str, Any] | None) -> Path:
    """Write an invented source's fixtures and return the directory of all hosts."""
    host = directory / HOST
    (host / "api").mkdir(parents=True)
    (host / "api" / "quakes.json").write_text(json.dumps(DOCUMENT))
    if manifest is not None:
        (host / "manifest.json").write_text(json.dumps(manifest))
    return directory


def test_file_is_served_at_its_path_with_its_newest_instant_now(tmp_path: Path) -> None:
    with simulator(tmp_path / "world", fixtures=folder(tmp_path / "f", None)) as world:
        reply = world.get(f"{HOST}/api/quakes.json", {"anything": "else"})
        found = reply.json()
        assert found["features"][0]["at"] == "2025-12-31T17:30:00.250-06:00"
        assert found["generated"] == "2026-01-01T00:00:00Z"
        assert found["features"][1]["day"] == "2025-12-30"
        assert found["features"][0]["ms"] == DOCUMENT["features"][0]["ms"]
        assert found["features"][1]["note"] == "2020 was dry"
        stamp = {"If-None-Match": reply.headers["etag"]}
        again = world.get(f"{HOST}/api/quakes.json", headers=stamp)
        assert again.status == 304
        world.advance(3600)
        assert world.get(f"{HOST}/api/quakes.json").json()["generated"] == "2026-01-01T01:00:00Z"
        missing = world.get(f"{HOST}/api/other")
        assert missing.status == 404
        assert missing.json()["exists"][f"/{HOST}"] == ["/api/quakes.json"]


def test_manifest_names_path_fields_rows_and_what_the_ledger_counts(tmp_path: Path) -> None:
    manifest = {
        "documents": {
            "/v1/quakes": {
                "file": "api/quakes.json",
                "shift": ["features.ms"],
                "rows": "features",
                "key": ["id"],
                "dataset": "quakes",
                "match": {"format": "geojson"},
            }
        }
    }
    with simulator(tmp_path / "world", fixtures=folder(tmp_path / "f", manifest)) as world:
        assert world.get(f"{HOST}/v1/quakes").status == 404
        found = world.get(f"{HOST}/v1/quakes", {"format": "geojson", "limit": 5}).json()
        assert found["features"][0]["ms"] == NOW * 1000
        assert found["generated"] == DOCUMENT["generated"]
        assert [line["key"] for line in world.ledger("quakes")] == ["a", "b"]
        world.post("faults", {"kind": "malformed_row", "host": HOST})
        found = world.get(f"{HOST}/v1/quakes", {"format": "geojson"}).json()
        assert "id" not in found["features"][0]
        assert [line["times"] for line in world.ledger("quakes")] == [1, 2]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ({"documents": {"/x": {"file": "../outside.json"}}}, "no file"),
        ({"documents": {"/x": {"file": "api/quakes.json", "dataset": "q"}}}, "needs a key"),
        ({"documents": {"/x": {"file": "api/quakes.json", "shfit": []}}}, "shfit"),
        ({"paths": {}}, "unknown field `paths`"),
    ],
)
def test_wrong_manifest_stops_the_simulator_with_the_reason(
    tmp_path: Path, manifest: dict[str, Any], reason: str
) -> None:
    fixtures = folder(tmp_path / "f", manifest)
    with pytest.raises(ServiceError, match=reason), simulator(tmp_path / "w", fixtures=fixtures):
        raise AssertionError("it started")


FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M")
Moments = st.integers(800_000_000, 3_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(Moments, st.sampled_from(FORMS), st.integers(-10_000_000, 10_000_000))
def test_shifted_text_keeps_its_form_and_moves_by_exactly_that_much(
    moment: datetime, form: str, seconds: int
) -> None:
    text = moment.strftime(form)
    if form.endswith("%M"):
        seconds -= seconds % 60
    moved = shifted({"at": [text]}, (), float(seconds))["at"][0]
    assert len(moved) == len(text)
    assert read_iso(moved) - read_iso(text) == pytest.approx(seconds, abs=2e-6)
    assert newest({"at": text}, ()) == read_iso(text)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_document_without_instants_stays_as_it_is(document: Any) -> None:
    if newest(document, ()) is None:
        assert shifted(document, (), 86_400.0) == document
