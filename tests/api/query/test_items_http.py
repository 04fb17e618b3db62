"""The whole way of a question: from the address to StarRocks and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from emdata.contracts.coagmet import Station
from emdata.contracts.fema import DisasterDeclaration
from tests.api.world import World, running_world
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
T0 = datetime(2026, 1, 1, tzinfo=UTC)
DECLARATIONS = "/collections/fema_disaster_declarations"
STATIONS = "/collections/coagmet_stations"
COUNT = 120


def declaration(number: int, **values: Any) -> DisasterDeclaration:
    given = {"state": "CO" if number % 2 else "KS", "refreshed_at": T0, **values}
    day = date(2020, 1, 1) + timedelta(days=number)
    return DisasterDeclaration(disaster_number=number, place_code="99013", declared_on=day, **given)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as started:
        started.land(*map(declaration, range(COUNT)), accepted_at=T0 + timedelta(days=1))
        later = T0 + timedelta(days=10)
        started.land(
            declaration(7, state="NE", title="Revised", refreshed_at=later), accepted_at=later
        )
        yield started


def ids(features: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in features]


def test_next_links_lead_through_all_items_once(world):
    found = ids(world.features(f"{DECLARATIONS}/items", {"limit": "50"}))
    assert len(found) == COUNT
    assert set(found) == {f"{number}|99013" for number in range(COUNT)}


def test_a_page_says_how_many_match_when_asked_and_when_it_holds_all(world):
    page = world.get(f"{DECLARATIONS}/items", {"limit": "10", "count": "true"}).json()
    assert (page["numberReturned"], page["numberMatched"]) == (10, COUNT)
    assert "numberMatched" not in world.get(f"{DECLARATIONS}/items", {"limit": "10"}).json()
    whole = world.get(f"{DECLARATIONS}/items", {"state": "NE"}).json()
    assert whole["numberMatched"] == whole["numberReturned"] == 1


def test_filters_read_the_current_version_only(world):
    assert ids(world.features(f"{DECLARATIONS}/items", {"state": "NE"})) == ["7|99013"]
    numbers = {"filter": "disaster_number IN (7, 9) AND state = 'CO'"}
    assert ids(world.features(f"{DECLARATIONS}/items", numbers)) == ["9|99013"]


def test_as_of_answers_what_was_known_then(world):
    before = {"as_of": "2026-01-05", "disaster_number": "7"}
    assert world.features(f"{DECLARATIONS}/items", before)[0]["properties"]["state"] == "CO"
    item = f"{DECLARATIONS}/items/7%7C99013"
    assert world.get(item).json()["properties"]["state"] == "NE"
    assert world.get(item, {"as_of": "2026-01-05"}).json()["properties"]["state"] == "CO"
    assert world.get(item, {"as_of": "2026-01-01"}).status_code == 404


def test_versions_of_an_item_come_newest_first(world):
    versions = world.features(f"{DECLARATIONS}/items/7%7C99013/versions", {"limit": "1"})
    assert [one["properties"]["state"] for one in versions] == ["NE", "CO"]
    links = {
        one["rel"]: one["href"]
        for one in world.get(f"{DECLARATIONS}/items/7%7C99013").json()["links"]
    }
    assert len(world.get(links["version-history"]).json()["features"]) == 2
    assert world.get(f"{DECLARATIONS}/items/nothing/versions").status_code == 404


def test_keys_may_hold_slashes_and_end_like_a_path(world):
    key = "a/b?c#d%2F|ü/versions"
    world.land(Station(station_id=key, latitude=40.0, longitude=-105.0))
    record_key = Station(station_id=key).record_key()
    answer = world.get(f"{STATIONS}/items/{quote(record_key, safe='')}")
    assert answer.json()["id"] == record_key
    itself = next(one["href"] for one in answer.json()["links"] if one["rel"] == "self")
    assert world.get(itself).json()["id"] == record_key
    history = world.get(f"{STATIONS}/items/{quote(record_key, safe='')}/versions")
    assert len(history.json()["features"]) == 1


def test_items_are_sorted_and_sparse_as_asked(world):
    asked = {"sortby": "-declared_on", "properties": "declared_on", "limit": "2"}
    page = world.get(f"{DECLARATIONS}/items", asked).json()
    assert [one["properties"] for one in page["features"]] == [
        {"declared_on": "2020-04-29"},
        {"declared_on": "2020-04-28"},
    ]


def test_days_are_asked_by_datetime(world):
    asked = {"datetime": "2020-01-02T10:00:00Z/2020-01-03"}
    assert ids(world.features(f"{DECLARATIONS}/items", asked)) == ["1|99013", "2|99013"]


def test_extents_come_from_the_rows(world):
    extent = world.get(DECLARATIONS).json()["extent"]
    assert extent["temporal"]["interval"] == [["2020-01-01T00:00:00Z", "2020-04-29T00:00:00Z"]]
    assert "spatial" not in extent


def test_collections_that_are_not_built_yet_are_listed_without_an_extent(world):
    listed = {one["id"]: one for one in world.get("/collections").json()["collections"]}
    assert "extent" not in listed["dim_county"]
    assert world.get("/collections/dim_county/items").status_code == 503


def test_queryables_name_what_filters_take(world):
    known = world.get(f"{DECLARATIONS}/queryables").json()["properties"]
    all_of_them = " OR ".join(f"{name} IS NULL" for name in known)
    answer = world.get(f"{DECLARATIONS}/items", {"filter": all_of_them, "limit": "1"})
    assert answer.json()["numberReturned"] == 1
    shown = world.get(f"{DECLARATIONS}/items", {"limit": "1"}).json()["features"][0]
    assert set(shown["properties"]) == set(world.get(f"{DECLARATIONS}/schema").json()["properties"])


HOSTILE = (
    "' OR '1'='1",
    "' OR 1=1 -- ",
    "'; DROP TABLE raw_data.fema_disaster_declarations; -- ",
    "1; DELETE FROM raw_data.fema_disaster_declarations",
    "') UNION SELECT * FROM information_schema.tables -- ",
    "` FROM raw_data.fema_disaster_declarations -- ",
    "\\' OR 1=1 -- ",
    "\\",
    "%s",
    "%(name)s",
    "$1",
    "?",
    "0x27204f52",
    "1 AND SLEEP(5)",
    "/**/OR/**/1=1",
    "CO\x00' OR '1'='1",
    "ʼ OR 1=1",
    "a\nUNION SELECT 1",
    "@@version",
    "${jndi:ldap://x}",
)
PLACES = (
    "state",
    "title",
    "disaster_number",
    "declared_on",
    "sortby",
    "properties",
    "limit",
    "cursor",
    "filter",
    "datetime",
    "as_of",
    "bbox",
    "lang",
    "f",
    "crs",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_fault_37_sql_in_parameters_is_a_value_or_refused(world, text):
    table = "raw_data.fema_disaster_declarations"
    before = world.execute(f"SELECT COUNT(*), SUM(seq) FROM {table}")
    for place in PLACES:
        answer = world.get(f"{DECLARATIONS}/items", {place: text})
        if answer.status_code == 200:
            assert place == "title"  # any text is a title; none of the rows has this one
            assert answer.json()["features"] == []
        else:
            assert answer.status_code == 400, (place, answer.text)
    within = text.replace("'", "''")
    filtered = world.get(f"{DECLARATIONS}/items", {"filter": f"title = '{within}'"})
    assert filtered.status_code in (200, 400)
    if filtered.status_code == 200:
        assert filtered.json()["features"] == []
    for path in (
        f"{DECLARATIONS}/items/{quote(text, safe='')}",
        f"/collections/{quote(text, safe='')}/items",
    ):
        assert world.get(path).status_code == 404
    assert world.execute(f"SELECT COUNT(*), SUM(seq) FROM {table}") == before


def test_fault_37_hostile_texts_are_stored_and_found_as_they_are(world):
    texts = {f"{number}|99013": text for number, text in enumerate(HOSTILE, 5000)}
    texts = {key: text for key, text in texts.items() if "\0" not in text}
    world.land(*(declaration(int(key[:4]), state=None, title=text) for key, text in texts.items()))
    for key, text in texts.items():
        within = text.replace("'", "''")
        for asked in ({"title": text}, {"filter": f"title = '{within}' AND disaster_number > 9"}):
            # What was asked before the rows were there may be answered as it was, for a second.
            wait_for(
                lambda asked=asked, key=key: (
                    ids(world.features(f"{DECLARATIONS}/items", asked)) == [key]
                ),
                30,
                f"the item with the title {text!r}",
            )
