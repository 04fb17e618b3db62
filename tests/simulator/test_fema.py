"""OpenFEMA as a client meets it: envelopes, paging, formats, amendments in place."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.simulator.running import Simulator, simulator

DECLARATIONS = "www.fema.gov/api/open/v2/DisasterDeclarationsSummaries"
DATA_SETS = "www.fema.gov/api/open/v1/OpenFemaDataSets"
DATASET = "fema_disaster_declarations"


def pull(world: Simulator, filter_text: str = "", top: int = 1000) -> list[dict[str, Any]]:
    """Page through the declarations until a short page."""
    rows: list[dict[str, Any]] = []
    while True:
        parameters: dict[str, object] = {"$orderby": "id", "$top": top, "$skip": len(rows)}
        if filter_text:
            parameters["$filter"] = filter_text
        page = world.get(DECLARATIONS, parameters).json()["DisasterDeclarationsSummaries"]
        rows += page
        if len(page) < top:
            return rows


def key(row: dict[str, Any]) -> tuple[int, str]:
    """Return the official primary key."""
    return row["disasterNumber"], row["placeCode"]


def test_paging_lists_every_row_once_while_time_stands_still(world: Simulator) -> None:
    rows = pull(world)
    counted = world.get(DECLARATIONS, {"$count": "true", "$top": 1}).json()["metadata"]["count"]
    assert len(rows) == counted == len({key(row) for row in rows}) == len({r["id"] for r in rows})
    colorado = [row for row in rows if row["state"] == "CO"]
    assert 1_000 < len(colorado) < 2_500
    assert min(row["declarationDate"] for row in rows) < "1960"
    assert sorted(map(key, pull(world, "state eq 'CO'", top=100))) == sorted(map(key, colorado))


def test_row_has_the_fields_and_types_of_the_real_one(world: Simulator) -> None:
    row = pull(world, "state in ('CO') and declarationDate ge '2024-01-01T00:00:00.000z'")[0]
    names = (
        "femaDeclarationString disasterNumber state declarationType declarationDate fyDeclared"
        " incidentType declarationTitle ihProgramDeclared iaProgramDeclared paProgramDeclared"
        " hmProgramDeclared incidentBeginDate incidentEndDate disasterCloseoutDate tribalRequest"
        " fipsStateCode fipsCountyCode placeCode designatedArea declarationRequestNumber"
        " lastIAFilingDate incidentId region designatedIncidentTypes lastRefresh hash id"
    )
    assert set(row) == set(names.split())
    assert row["fipsStateCode"] == "08"
    assert len(row["hash"]) == 40
    assert len(row["id"]) == 36
    assert row["declarationDate"].endswith("T00:00:00.000Z")


def test_same_seed_gives_the_same_world_and_another_seed_another(tmp_path: Path) -> None:
    bodies = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        with simulator(tmp_path / name, seed=seed) as world:
            world.advance(7200)
            bodies.append(world.get(DECLARATIONS, {"$top": 10_000}).body)
    assert bodies[0] == bodies[1]
    assert bodies[0] != bodies[2]


def test_count_is_zero_unless_asked_for_and_metadata_can_be_left_out(world: Simulator) -> None:
    assert world.get(DECLARATIONS, {"$top": 1}).json()["metadata"]["count"] == 0
    bare = world.get(DECLARATIONS, {"$top": 1, "$metadata": "off"}).json()
    assert list(bare) == ["DisasterDeclarationsSummaries"]


def test_all_formats_hold_the_same_rows(world: Simulator) -> None:
    asked = {"$top": 5, "$orderby": "id", "$select": "disasterNumber,placeCode,state"}
    rows = world.get(DECLARATIONS, asked).json()["DisasterDeclarationsSummaries"]
    lines = world.get(DECLARATIONS, {**asked, "$format": "jsonl"}).body
    assert [msgspec.json.decode(line) for line in lines.split(b"\n")] == rows
    assert world.get(DECLARATIONS, {**asked, "$format": "jsona"}).json() == rows
    text = world.get(DECLARATIONS, {**asked, "$format": "csv"}).body.decode()
    assert [row["placeCode"] for row in csv.DictReader(io.StringIO(text))] == [
        row["placeCode"] for row in rows
    ]


@pytest.mark.parametrize(
    "parameters",
    [{"$filter": "nonsense"}, {"$top": "-1"}, {"$format": "xlsx"}, {"$orderby": "a b c"}],
)
def test_bad_query_is_a_400_with_the_reason(
    world: Simulator, parameters: dict[str, object]
) -> None:
    reply = world.get(DECLARATIONS, parameters)
    assert reply.status == 400
    assert next(iter(parameters)) in reply.json()["error"]["message"]


def test_unchanged_table_answers_304_to_its_own_etag_and_date(world: Simulator) -> None:
    first = world.get(DECLARATIONS, {"$top": 10})
    for header, name in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        again = world.get(DECLARATIONS, {"$top": 10}, {header: first.headers[name]})
        assert (again.status, again.body) == (304, b"")
    world.advance(1)
    world.mutate(fema="reload_bump")
    changed = world.get(DECLARATIONS, {"$top": 10}, {"If-None-Match": first.headers["etag"]})
    assert changed.status == 200


def test_frozen_time_gives_identical_bytes(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    first = world.get(DECLARATIONS)
    world.clock.advance(3600)
    assert world.get(DECLARATIONS).body == first.body


def test_reload_changes_refresh_and_id_of_every_row_and_nothing_else(world: Simulator) -> None:
    before = {key(row): row for row in pull(world)}
    versions = len(world.ledger(DATASET))
    world.advance(1)
    assert world.mutate(fema="reload_bump")["rows"] == len(before)
    after = {key(row): row for row in pull(world)}
    assert after.keys() == before.keys()
    for name, row in after.items():
        changed = {field for field in row if row[field] != before[name][field]}
        assert changed == {"lastRefresh", "id"}
    assert len(world.ledger(DATASET)) == versions


@pytest.mark.parametrize(
    ("mutation", "field"),
    [
        ("end_incident", "incidentEndDate"),
        ("close_out", "disasterCloseoutDate"),
        ("change_one", "iaProgramDeclared"),
    ],
)
def test_amendment_changes_rows_in_place_and_moves_their_refresh(
    world: Simulator, mutation: str, field: str
) -> None:
    before = {key(row): row for row in pull(world)}
    world.advance(1)
    touched = set(world.mutate(fema=mutation)["keys"])
    changed = {k: row for k, row in ((key(row), row) for row in pull(world)) if row != before[k]}
    assert touched
    assert {f"{number}|{place}" for number, place in changed} == touched
    for name, row in changed.items():
        assert row[field] != before[name][field]
        assert row["lastRefresh"] > before[name]["lastRefresh"]
        assert row["hash"] != before[name]["hash"]


def test_declaration_area_and_vanished_key_change_the_keys(world: Simulator) -> None:
    before = {key(row) for row in pull(world)}
    world.mutate(fema="declare", state="CO", type="DR", areas=3)
    added = {key(row) for row in pull(world)} - before
    assert {number for number, _ in added} == {10_001}
    assert 1 <= len(added) <= 5
    world.mutate(fema="add_area")
    number, place = min(added)
    world.mutate(fema="vanish", disaster_number=number, place_code=place)
    after = {key(row) for row in pull(world)}
    assert (number, place) not in after
    assert len(after) == len(before) + len(added)


def test_something_is_declared_or_amended_every_few_minutes(world: Simulator) -> None:
    before = pull(world)
    stamp = world.get(DATA_SETS).json()["OpenFemaDataSets"][0]["lastDataSetRefresh"]
    world.advance(3600)
    assert pull(world) != before
    row = world.get(DATA_SETS, {"$filter": "name eq 'DisasterDeclarationsSummaries'"}).json()
    assert row["OpenFemaDataSets"][0]["lastDataSetRefresh"] > stamp
    newest = max(entry["lastRefresh"] for entry in pull(world))
    assert newest == row["OpenFemaDataSets"][0]["lastDataSetRefresh"]


def test_incremental_pull_sees_every_change_since_the_last_one(world: Simulator) -> None:
    copy = {key(row): row for row in pull(world)}
    for _ in range(5):
        mark = max(row["lastRefresh"] for row in copy.values())
        world.advance(1200)
        copy |= {key(row): row for row in pull(world, f"lastRefresh ge '{mark}'")}
    assert copy == {key(row): row for row in pull(world)}


def test_malformed_row_spoils_one_row_and_drift_all_of_them(world: Simulator) -> None:
    world.post("faults", {"kind": "malformed_row", "host": "www.fema.gov", "count": 1})
    rows = world.get(DECLARATIONS, {"$top": 10}).json()["DisasterDeclarationsSummaries"]
    assert [isinstance(row["disasterNumber"], int) for row in rows] == [False] + [True] * 9
    assert len(world.ledger(DATASET)) == 9
    world.post("faults", {"kind": "drift", "host": "www.fema.gov", "count": 1})
    rows = world.get(DECLARATIONS, {"$top": 10}).json()["DisasterDeclarationsSummaries"]
    assert all("disasterNumber" not in row for row in rows)
    assert len(world.ledger(DATASET)) == 9
