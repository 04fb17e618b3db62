"""CAP 1.2 and Atom: what a receiver may rely on, and what may never reach one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.formats.cap import instant, is_alert
from api.formats.negotiate import formats_of
from api.problems import Problem
from tests.api.formats import cap_rules
from tests.api.formats.making import ALERTS, POSTS, SIMULATED, alert

CAP = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
ATOM = {"a": "http://www.w3.org/2005/Atom"}
ZONES = [("same", "S08013"), ("ugc", "COC013"), ("other", "x")]


def _cap(**changes: Any) -> Element:
    root = fromstring(alert("cap", **changes))
    cap_rules.check(root)
    return root


def _texts(root: Element, path: str) -> list[str | None]:
    return [one.text for one in root.findall(path, CAP)]


def test_an_alert_has_a_form_that_the_schema_of_cap_takes() -> None:
    root = _cap(extra={"zones": ZONES})
    assert _texts(root, "c:identifier") == ["urn:oid:2.49.0.1.840.0.made.1"]
    assert _texts(root, "c:sent") == ["2026-11-21T08:00:00-07:00"]
    assert _texts(root, "c:status") == ["Actual"]
    assert _texts(root, "c:msgType") == ["Update"]
    assert _texts(root, "c:info/c:expires") == ["2026-11-21T11:45:00-07:00"]
    assert _texts(root, "c:info/c:onset") == []
    assert _texts(root, "c:info/c:headline") == ["Flash Flood Warning <until> 11:45 & later"]
    assert _texts(root, "c:info/c:area/c:areaDesc") == ["Boulder, CO; Larimer, CO"]


def test_references_are_as_their_senders_wrote_them() -> None:
    assert _texts(_cap(), "c:references") == [
        "w-nws.webmaster@noaa.gov,urn:oid:2.49.0.1.840.0.made.0,2026-11-21T07:30:00-07:00"
    ]


def test_polygons_are_latitude_first_and_closed_and_have_no_holes() -> None:
    assert _texts(_cap(), "c:info/c:area/c:polygon") == [
        "40.0,-105.5 40.0,-105.0 40.5,-105.0 40.0,-105.5"
    ]


def test_areas_are_named_by_their_codes() -> None:
    root = _cap(extra={"zones": ZONES})
    pairs = root.findall("c:info/c:area/c:geocode", CAP)
    assert [(one[0].text, one[1].text) for one in pairs] == [("SAME", "08013"), ("UGC", "COC013")]


def test_event_codes_and_parameters_are_repeated_with_their_names() -> None:
    root = _cap(parameters='{"a":["1","2"],"b":"3"}')
    pairs = root.findall("c:info/c:parameter", CAP)
    assert [(one[0].text, one[1].text) for one in pairs] == [("a", "1"), ("a", "2"), ("b", "3")]
    codes = root.findall("c:info/c:eventCode", CAP)
    assert [one[0].text for one in codes] == ["SAME", "NationalWeatherService"]


def test_a_simulated_alert_is_never_actual() -> None:
    for changes in ({"origin": SIMULATED}, {"is_simulated": 1}):
        root = _cap(**changes)
        assert _texts(root, "c:status") == ["Test"]
        (note,) = _texts(root, "c:note")
        assert note is not None
        assert "simulator" in note


def test_what_was_not_said_is_unknown_and_not_made_up() -> None:
    root = _cap(urgency=None, severity=None, certainty=None, area_description=None, geometry=None)
    assert _texts(root, "c:info/c:severity") == ["Unknown"]
    assert _texts(root, "c:info/c:area") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", None),
        ("status", "actual"),
        ("message_type", "Correction"),
        ("scope", None),
        ("category", "Weather"),
        ("severity", "Bad"),
        ("sender", None),
        ("event", ""),
    ],
)
def test_a_message_without_what_cap_requires_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(Problem, match=name) as caught:
        alert("cap", **{name: value})
    assert caught.value.status == 406


def test_instants_never_have_a_z() -> None:
    at = datetime(2026, 1, 1, 0, 30, 0, 999)  # noqa: DTZ001 - as rows have it
    assert instant(at) == "2026-01-01T00:30:00-00:00"
    assert instant(at, "-07:00") == "2025-12-31T17:30:00-07:00"
    assert instant(at, "+05:45") == "2026-01-01T06:15:00+05:45"
    assert instant(at, "MST") == "2026-01-01T00:30:00-00:00"


TEXTS = st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace").decode())


@given(TEXTS, TEXTS, TEXTS)
def test_any_text_makes_a_document_that_is_well_formed_and_valid(
    headline: str, sender: str, area: str
) -> None:
    _cap(headline=headline, sender=sender or "s", area_description=area, event=area or "e")
    fromstring(alert("atom", headline=headline, area_description=area))


@pytest.mark.parametrize(
    "geometry",
    [
        "{",
        "[]",
        "{}",
        '{"type":"Point","coordinates":[1,2]}',
        '{"type":"Polygon","coordinates":[]}',
        '{"type":"Polygon","coordinates":[[[1,2],[3,4],[5,6],[7,8]]]}',
    ],
)
def test_what_is_no_closed_polygon_is_left_to_the_codes(geometry: str) -> None:
    assert _texts(_cap(geometry=geometry), "c:info/c:area/c:polygon") == []


def test_a_multipolygon_is_several_polygons() -> None:
    ring = "[[1,2],[3,2],[3,4],[1,2]]"
    geometry = f'{{"type":"MultiPolygon","coordinates":[[{ring}],[{ring}]]}}'
    found = _texts(_cap(geometry=geometry), "c:info/c:area/c:polygon")
    assert found == ["2,1 2,3 4,3 2,1"] * 2


def test_only_alerts_have_these_formats() -> None:
    assert is_alert(ALERTS)
    names = {one.name for one in formats_of(POSTS, is_item=True)}
    assert not names & {"cap", "atom"}
    assert "cap" not in {one.name for one in formats_of(ALERTS)}
    assert "cap" in {one.name for one in formats_of(ALERTS, is_item=True)}


def test_a_feed_has_what_rfc_4287_requires() -> None:
    feed = fromstring(alert("atom"))
    for parent in (feed, *feed.findall("a:entry", ATOM)):
        for name in ("id", "title", "updated"):
            (found,) = parent.findall(f"a:{name}", ATOM)
            assert found.text
    assert feed.find("a:author/a:name", ATOM) is not None
    (entry,) = feed.findall("a:entry", ATOM)
    assert entry.findtext("a:updated", "", ATOM) == "2026-11-21T15:00:00Z"
    assert entry.findtext("a:title", "", ATOM) == "Flash Flood Warning <until> 11:45 & later"
    assert [one.get("rel") for one in feed.findall("a:link", ATOM)] == ["self"]
    (link,) = entry.findall("a:link", ATOM)
    assert link.get("href", "").endswith("/items/urn%3Aoid%3A2.49.0.1.840.0.made.1")


def test_a_simulated_feed_says_so_in_every_title() -> None:
    feed = fromstring(alert("atom", origin=SIMULATED))
    titles = [one.text or "" for one in feed.iter("{http://www.w3.org/2005/Atom}title")]
    assert len(titles) == 2
    assert all(title.startswith("[SIMULATED]") for title in titles)
