"""Alerts as a client meets them: life cycles, the four endings, paging, refusals."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from simulator.instants import read_iso
from simulator.nws.features import feature
from simulator.nws.feed import AlertFeed
from tests.simulator.running import Simulator, simulator

ACTIVE = "api.weather.gov/alerts/active"
HISTORY = "api.weather.gov/alerts"
NOW = 1_795_260_000.0
VTEC = re.compile(
    r"^/O\.(NEW|CON|EXT|CAN|EXP|UPG)\.K[A-Z]{3}\.[A-Z]{2}\.[WAY]\.\d{4}"
    r"\.\d{6}T\d{4}Z-\d{6}T\d{4}Z/$"
)


def active(world: Simulator) -> dict[str, dict[str, Any]]:
    """Return the properties of the active alerts by id."""
    features = world.get(ACTIVE).json()["features"]
    return {made["properties"]["id"]: made["properties"] for made in features}


def ends(properties: dict[str, Any]) -> bool:
    """Tell by any of the four ways whether a message says that its event is over."""
    actions = {text.split(".")[1] for text in properties["parameters"].get("VTEC", [])}
    return (
        properties["messageType"] == "Cancel"
        or properties["urgency"] == "Past"
        or properties["response"] == "AllClear"
        or bool(actions and actions <= {"CAN", "EXP", "UPG"})
    )


@pytest.fixture(scope="module")
def day() -> list[dict[str, Any]]:
    """The properties of a day's messages, oldest first."""
    feed = AlertFeed(1, 150)
    sent = feed.between(NOW - 86_400, NOW)
    return [feature(message, 1)["properties"] for message in reversed(sent)]


def test_active_alerts_are_about_as_many_as_asked_for_and_colorado_leads(world: Simulator) -> None:
    alerts = active(world)
    assert 100 < len(alerts) < 220
    states = Counter(
        code[:2] for made in alerts.values() for code in made["geocode"].get("UGC", [])
    )
    assert states.most_common(1)[0][0] == "CO"
    assert len(states) > 5


def test_alert_has_the_properties_of_the_real_one(world: Simulator) -> None:
    collection = world.get(ACTIVE).json()
    assert set(collection) == {"@context", "type", "features", "title", "updated"}
    names = (
        "@id @type id areaDesc geocode affectedZones references sent effective onset expires ends"
        " status messageType category severity certainty urgency event sender senderName headline"
        " description instruction response note parameters scope code language web eventCode"
    )
    for made in collection["features"]:
        assert set(made) == {"id", "type", "geometry", "properties"}
        assert set(made["properties"]) == set(names.split())
        assert made["id"] == "https://api.weather.gov/alerts/" + made["properties"]["id"]
        for value in made["properties"]["parameters"].values():
            assert isinstance(value, list)
        for same in made["properties"]["geocode"]["SAME"]:
            assert re.fullmatch(r"0\d{5}", same)
        if made["geometry"]:
            ring = made["geometry"]["coordinates"][0]
            assert ring[0] == ring[-1]
            assert all(-125 < x < -66 and 24 < y < 50 for x, y in ring)


def test_day_has_every_way_of_ending_and_every_kind_of_sender(day: list[dict[str, Any]]) -> None:
    cancels = [p for p in day if p["messageType"] == "Cancel"]
    past = [p for p in day if p["urgency"] == "Past" and p["messageType"] == "Alert"]
    clear = [p for p in day if p["response"] == "AllClear" and p["urgency"] != "Past"]
    closing = [p for p in day if ends(p) and p["urgency"] != "Past" and p["response"] != "AllClear"]
    assert min(map(len, (cancels, past, clear, closing))) >= 5
    assert all(p["references"] == [] for p in past)
    foreign = [p for p in day if not p["id"].startswith("urn:oid:")]
    assert foreign
    assert all("UGC" not in p["geocode"] and p["affectedZones"] == [] for p in foreign)
    assert {p["status"] for p in day} == {"Actual", "Test"}
    assert any(p["severity"] == "Unknown" for p in day)
    upgraded = [p for p in day if any(".UPG." in v for v in p["parameters"].get("VTEC", []))]
    assert upgraded
    assert all(p["severity"] == "Severe" for p in upgraded)


def test_vtec_tells_a_life_that_begins_with_new_and_never_goes_on_after_its_end(
    day: list[dict[str, Any]],
) -> None:
    lives: dict[tuple[str, str], list[str]] = {}
    for properties in day:
        for text in properties["parameters"].get("VTEC", []):
            assert VTEC.match(text), text
            _, action, office, phenomenon, significance, number, _ = text.split(".")
            for code in properties["geocode"]["UGC"]:
                event = f"{office}.{phenomenon}.{significance}.{number}"
                lives.setdefault((event, code), []).append(action)
    whole = [life for life in lives.values() if life[0] == "NEW"]
    assert len(whole) > 200
    for life in whole:
        over = [action in ("CAN", "EXP", "UPG") for action in life]
        assert sum(over) <= 1
        assert not any(over[:-1])
        assert "NEW" not in life[1:]
    actions = {action for life in whole for action in life}
    assert actions == {"NEW", "CON", "EXT", "CAN", "EXP", "UPG"}


def test_some_cancel_covers_only_a_part_of_the_area(day: list[dict[str, Any]]) -> None:
    def event(properties: dict[str, Any]) -> str:
        return str(properties["parameters"].get("VTEC", ["without VTEC"])[0][7:])

    partial = [
        (one, other)
        for one, other in itertools.pairwise(day)
        if {one["messageType"], other["messageType"]} == {"Cancel", "Update"}
        and one["sent"] == other["sent"]
        and event(one) == event(other)
    ]
    assert partial
    for one, other in partial:
        assert not set(one["geocode"]["UGC"]) & set(other["geocode"]["UGC"])


def test_reference_names_a_message_that_was_sent_before(day: list[dict[str, Any]]) -> None:
    sent = {properties["id"]: properties["sent"] for properties in day}
    known = [
        (properties, reference)
        for properties in day
        for reference in properties["references"]
        if reference["identifier"] in sent
    ]
    assert len(known) > 100
    for properties, reference in known:
        assert sent[reference["identifier"]] == reference["sent"]
        assert read_iso(reference["sent"]) < read_iso(properties["sent"])


def test_some_termination_stays_listed_long_after_it_expired() -> None:
    feed = AlertFeed(1, 150)
    late = [m for m in feed.active(NOW) if m.expires < NOW - 3600]
    assert late
    assert all(message.way == "past" for message in late)


def test_something_new_comes_within_a_minute_on_average(world: Simulator) -> None:
    seen: set[str] = set()
    for _ in range(3):
        seen |= set(active(world))
        world.advance(600)
    assert len(seen) - len(active(world)) >= 20


def test_history_pages_hold_every_message_once_and_the_last_is_empty(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    start = "2025-12-31T18:00:00Z"
    ids: list[str] = []
    parameters: dict[str, object] = {"start": start, "limit": 50}
    while True:
        page = world.get(HISTORY, parameters).json()
        following = page["pagination"]["next"]
        assert following.startswith("https://api.weather.gov/alerts?")
        if not page["features"]:
            break
        ids += [made["properties"]["id"] for made in page["features"]]
        parameters = dict(parse_qsl(urlsplit(following).query))
    assert len(ids) == len(set(ids)) > 400
    features = world.get(HISTORY, {"start": start, "limit": 500}).json()["features"]
    whole = {made["properties"]["id"] for made in features}
    assert set(ids[: len(whole)]) == whole


def test_history_shows_what_replaced_a_message_and_active_does_not(world: Simulator) -> None:
    changed = world.mutate(nws="change_one")
    found = {
        made["properties"]["id"]: made["properties"]
        for made in world.get(HISTORY, {"start": "2025-12-31T00:00:00Z"}).json()["features"]
    }
    assert found[changed["references"][0]]["replacedBy"] == changed["ids"][0]
    assert not any("replacedBy" in properties for properties in active(world).values())


def test_change_of_one_alert_replaces_exactly_one(world: Simulator) -> None:
    before = active(world)
    changed = world.mutate(nws="change_one")
    after = active(world)
    assert set(after) - set(before) == set(changed["ids"])
    assert set(before) - set(after) == set(changed["references"])
    assert len(changed["ids"]) == len(changed["references"]) == 1
    assert all(after[name] == before[name] for name in set(after) & set(before))


def test_edit_of_one_alert_keeps_its_id(world: Simulator) -> None:
    before = active(world)
    (edited,) = world.mutate(nws="edit_one")["ids"]
    after = active(world)
    assert [name for name in after if after[name] != before[name]] == [edited]
    assert set(after) == set(before)


@pytest.mark.parametrize("way", ["cancel", "past", "all_clear", "vtec"])
def test_cancellation_comes_in_the_asked_way(world: Simulator, way: str) -> None:
    (made,) = world.mutate(nws="cancel", way=way)["ids"]
    properties = active(world)[made]
    assert ends(properties)
    fact = next(line for line in world.ledger("nws_alerts") if line["key"] == made)
    assert fact["values"]["closing_reason"] == way
    world.advance(1200)
    if way != "past":
        assert made not in active(world)


def test_partial_cancel_and_upgrade_send_two_messages(world: Simulator) -> None:
    one, other = (active(world)[name] for name in world.mutate(nws="partial_cancel")["ids"])
    assert (ends(one), ends(other)) == (True, False)
    old, new = (active(world)[name] for name in world.mutate(nws="upgrade")["ids"])
    assert ".UPG." in old["parameters"]["VTEC"][0]
    assert ".NEW." in new["parameters"]["VTEC"][0]
    assert old["event"] != new["event"]


def test_new_alert_is_of_the_asked_kind_and_state(world: Simulator) -> None:
    (made,) = world.mutate(nws="new", event="Flash Flood Warning", state="NM")["ids"]
    properties = active(world)[made]
    assert properties["event"] == "Flash Flood Warning"
    assert all(code.startswith("NM") for code in properties["geocode"]["UGC"])
    (test,) = world.mutate(nws="test_message")["ids"]
    assert active(world)[test]["status"] == "Test"


def test_unchanged_list_is_a_304_and_every_change_is_a_200(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    first = world.get(ACTIVE)
    for _ in range(4):
        stamp = {"If-Modified-Since": first.headers["last-modified"]}
        assert world.get(ACTIVE, headers=stamp).status == 304
        world.mutate(nws="change_one")
        changed = world.get(ACTIVE, headers=stamp)
        assert changed.status == 200
        first = changed
    stamp = {"If-None-Match": first.headers["etag"]}
    assert world.get(ACTIVE, headers=stamp).status == 304
    world.clock.advance(3600)
    assert world.get(ACTIVE).body == first.body


def test_unknown_parameter_is_a_400_problem(world: Simulator) -> None:
    reply = world.get(ACTIVE, {"_": "1"})
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "correlationId"} == set(reply.json())
    assert world.get(HISTORY, {"limit": "501"}).status == 400
    assert world.get(HISTORY, {"cursor": "zzz"}).status == 400
    assert world.get(HISTORY, {"start": "yesterday"}).status == 400


@pytest.mark.parametrize("agent", ["", "python-requests/2.32", "curl/8.5"])
def test_client_without_contact_is_refused(world: Simulator, agent: str) -> None:
    assert world.get(ACTIVE, headers={"User-Agent": agent}).status == 403


def test_filters_narrow_the_list(world: Simulator) -> None:
    world.mutate(nws="test_message")
    for parameters, holds in (
        ({"area": "CO"}, lambda p: any(c.startswith("008") for c in p["geocode"]["SAME"])),
        ({"status": "actual"}, lambda p: p["status"] == "Actual"),
        ({"severity": "severe,extreme"}, lambda p: p["severity"] in ("Severe", "Extreme")),
        ({"event": "Red Flag Warning"}, lambda p: p["event"] == "Red Flag Warning"),
    ):
        features = world.get(ACTIVE, parameters).json()["features"]
        assert 0 < len(features) < len(active(world))
        assert all(holds(made["properties"]) for made in features)


def test_same_seed_gives_the_same_alerts_and_mutations_survive_a_restart(tmp_path: Path) -> None:
    with simulator(tmp_path / "a", seed=3) as world:
        world.post("clock", {"freeze": True, "advance_seconds": 500})
        world.mutate(nws="change_one")
        world.mutate(nws="cancel", way="vtec")
        world.mutate(nws="new")
        world.mutate(nws="edit_one")
        body, clock = world.get(ACTIVE).body, world.clock
    with simulator(tmp_path / "a", seed=3, clock=clock) as world:
        assert world.get(ACTIVE).body == body
    with simulator(tmp_path / "b", seed=4) as world:
        assert world.get(ACTIVE).body != body


def test_ledger_counts_zones_by_ugc_and_by_same_code(world: Simulator) -> None:
    alerts = active(world)
    zones = {
        (name, code)
        for name, made in alerts.items()
        for code in (
            *made["geocode"].get("UGC", []),
            *(f"S{c[1:]}" for c in made["geocode"]["SAME"]),
        )
    }
    served = {tuple(line["key"].split("|")) for line in world.ledger("nws_alert_zones")}
    assert served == zones
    assert {line["key"] for line in world.ledger("nws_alerts")} == set(alerts)


def test_malformed_alert_is_one_of_many_and_drift_touches_all(world: Simulator) -> None:
    world.post("faults", {"kind": "malformed_row", "host": "api.weather.gov", "count": 1})
    features = world.get(ACTIVE).json()["features"]
    assert "o'clock" in features[0]["properties"]["sent"]
    assert len(world.ledger("nws_alerts")) == len(features) - 1
    world.post("faults", {"kind": "drift", "host": "api.weather.gov", "count": 1})
    features = world.get(ACTIVE).json()["features"]
    assert not any("sent" in made["properties"] for made in features)
