"""NWS: polling, the four ways of ending, zones, priorities."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from emdata.contracts.nws import Alert, AlertZone
from emdata.errors import DocumentError
from emdata.settings import load_settings
from scrapers.base import Cursor
from scrapers.offline import document_of, idle, parse_rows
from scrapers.sources.nws import NwsAlerts
from tests.scrapers.serving import Answer, Asked, source

FIXTURES = Path(__file__).parents[1] / "fixtures" / "nws"
SCRAPER = idle(NwsAlerts, load_settings({}, env_file=None))
COLLECTION: dict[str, Any] = json.loads((FIXTURES / "alerts.json").read_bytes())
TORNADO: dict[str, Any] = COLLECTION["features"][0]


def _feature(*, parameters: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    feature = copy.deepcopy(TORNADO)
    feature["properties"].update(changes)
    feature["properties"]["parameters"].update(parameters or {})
    return feature


def _parse(*features: dict[str, Any]) -> tuple[list[Alert], list[AlertZone]]:
    body = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    records = []
    for row in parse_rows(SCRAPER, document_of(body, "x")):
        assert row.rejected is None, row.rejected
        records += row.records
    alerts = [r for r in records if isinstance(r, Alert)]
    return alerts, [r for r in records if isinstance(r, AlertZone)]


def _one(**changes: Any) -> Alert:
    return _parse(_feature(**changes))[0][0]


def _rejection(feature: dict[str, Any]) -> str:
    body = json.dumps({"features": [feature]}).encode()
    (row,) = parse_rows(SCRAPER, document_of(body, "x"))
    assert row.rejected is not None
    return str(row.rejected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"messageType": "Update"}, None),
        ({"messageType": "Cancel"}, "cancel"),
        ({"urgency": "Past"}, "past"),
        ({"response": "AllClear"}, "all_clear"),
        ({"parameters": {"VTEC": ["/O.CAN.KBOU.TO.W.0031.000000T0000Z-260618T2045Z/"]}}, "vtec"),
        ({"parameters": {"VTEC": ["/O.EXP.KBOU.TO.W.0031.000000T0000Z-260618T2045Z/"]}}, "vtec"),
        ({"parameters": {"VTEC": ["/O.UPG.KBOU.TO.A.0031.000000T0000Z-260618T2045Z/"]}}, "vtec"),
        (
            {
                "parameters": {
                    "VTEC": [
                        "/O.UPG.KBOU.FW.A.0009.260618T1800Z-260620T0200Z/",
                        "/O.NEW.KBOU.FW.W.0021.260618T1800Z-260619T0200Z/",
                    ]
                }
            },
            None,
        ),
    ],
)
def test_an_alert_ends_in_four_ways(changes: dict[str, Any], reason: str | None) -> None:
    alert = _one(**changes)
    assert (alert.is_closing, alert.closing_reason) == (reason is not None, reason)
    zones = _parse(_feature(**changes))[1]
    assert {(z.is_closing, z.closing_reason) for z in zones} == {(reason is not None, reason)}


def test_a_product_is_about_its_open_event_and_names_what_it_ends() -> None:
    alert = _parse(COLLECTION["features"][6])[0][0]
    assert alert.event_key == "KBOU.FW.W.0021.2026"
    assert alert.vtec_actions == "UPG,NEW"
    assert json.loads(alert.closed_event_keys or "") == ["KBOU.FW.A.0009.2026"]
    assert not alert.is_closing


def test_a_cancellation_closes_the_areas_it_names_only() -> None:
    alerts, zones = _parse(*COLLECTION["features"][:2])
    assert {a.event_key for a in alerts} == {"KBOU.TO.W.0031.2026"}
    closed = {z.zone_code for z in zones if z.is_closing}
    assert closed == {"COC087", "S08087"}
    assert {z.zone_code for z in zones if not z.is_closing} == closed | {"COC123", "S08123"}


@pytest.mark.parametrize(
    ("changes", "parameters", "expected"),
    [
        ({}, {}, "2026-06-18T20:45:00+00:00"),
        ({"ends": None}, {}, "2026-06-18T20:45:00+00:00"),
        (
            {"ends": None},
            {"eventEndingTime": ["2026-06-19T01:00:00-05:00"]},
            "2026-06-19T06:00:00+00:00",
        ),
        (
            {"ends": None, "expires": "2026-06-18T15:30:00-06:00"},
            {"eventEndingTime": []},
            "2026-06-18T21:30:00+00:00",
        ),
    ],
)
def test_the_hazard_ends_at_ends_else_the_ending_time_else_expires(
    changes: dict[str, Any], parameters: dict[str, Any], expected: str
) -> None:
    alert = _one(parameters=parameters, **changes)
    assert alert.hazard_ends_at == datetime.fromisoformat(expected)


def test_without_vtec_the_earliest_message_referred_to_names_the_event() -> None:
    chain = "a@b.c,urn:first,2026-06-18T12:00:00-06:00 a@b.c,urn:second,2026-06-18T13:00:00-06:00"
    third = {"identifier": "urn:third", "sender": "a@b.c", "sent": "2026-06-18T13:30:00-06:00"}
    plain: dict[str, Any] = {"VTEC": [], "expiredReferences": []}
    assert _one(parameters=plain).event_key == TORNADO["properties"]["id"]
    assert _one(parameters=plain, references=[third]).event_key == "urn:third"
    alert = _one(parameters={**plain, "expiredReferences": [chain]}, references=[third])
    assert alert.event_key == "urn:first"
    expired = json.loads(alert.expired_references or "")
    assert [e["identifier"] for e in expired] == ["urn:first", "urn:second"]


def test_offsets_are_kept_beside_the_utc_instant() -> None:
    alert = _one()
    assert alert.sent_at == datetime(2026, 6, 18, 20, 2, tzinfo=UTC)
    assert alert.sent_offset == "-06:00"


def test_zones_come_from_ugc_and_from_same_codes() -> None:
    _, zones = _parse(_feature(geocode={"SAME": ["008013", "108013"], "UGC": ["COZ039", "COZ039"]}))
    found = {z.zone_code: (z.code_type, z.state) for z in zones}
    assert found == {
        "COZ039": ("ugc", "CO"),
        "S08013": ("same", "CO"),
        "S108013": ("same", "CO"),
    }
    _, vendor = _parse(COLLECTION["features"][3])
    assert [(z.zone_code, z.code_type, z.state) for z in vendor] == [("S08087", "same", "CO")]


@pytest.mark.parametrize("code", ["COZ03", "coz039", "COZ0399", "S08 13", ""])
def test_a_zone_code_that_is_none_is_rejected(code: str) -> None:
    assert "geocode.UGC" in _rejection(_feature(geocode={"SAME": [], "UGC": [code]}))


@pytest.mark.parametrize(
    ("severity", "urgency", "certainty", "expected"),
    [
        ("Extreme", "Immediate", "Observed", Priority.CRITICAL),
        ("Extreme", "Expected", "Likely", Priority.CRITICAL),
        ("Extreme", "Future", "Possible", Priority.HIGH),
        ("Severe", "Immediate", "Observed", Priority.HIGH),
        ("Severe", "Expected", "Likely", Priority.HIGH),
        ("Severe", "Future", "Possible", Priority.NORMAL),
        ("Moderate", "Immediate", "Observed", Priority.NORMAL),
        ("Minor", "Immediate", "Observed", Priority.LOW),
        ("Unknown", "Unknown", "Unknown", Priority.LOW),
    ],
)
def test_severity_urgency_and_certainty_make_the_priority(
    severity: str, urgency: str, certainty: str, expected: Priority
) -> None:
    changes: dict[str, Any] = {"severity": severity, "urgency": urgency, "certainty": certainty}
    alerts, zones = _parse(_feature(**changes))
    assert {r.priority() for r in [*alerts, *zones]} == {expected}


@pytest.mark.parametrize("status", ["Test", "Exercise", "System", "Draft"])
def test_tests_and_exercises_are_kept_and_never_urgent(status: str) -> None:
    for changes in ({}, {"messageType": "Cancel"}):
        alert = _one(status=status, **changes)
        assert alert.status == status
        assert alert.priority() is Priority.LOW


@pytest.mark.parametrize(
    ("code", "expected"),
    [("LAE", Priority.HIGH), ("ADR", Priority.HIGH), ("EVI", Priority.CRITICAL)],
)
def test_local_authorities_are_held_to_high_unless_their_code_is_on_the_list(
    code: str, expected: Priority
) -> None:
    alert = _one(
        sender="SmallTown",
        event="Local Emergency",
        eventCode={"SAME": [code]},
        parameters={"VTEC": []},
    )
    assert alert.priority() is expected


def test_a_catastrophic_damage_threat_is_critical() -> None:
    flood = {"severity": "Severe", "event": "Flash Flood Warning", "eventCode": {"SAME": ["FFW"]}}
    assert _one(**flood).priority() is Priority.HIGH
    tagged = _one(**flood, parameters={"flashFloodDamageThreat": ["CATASTROPHIC"]})
    assert tagged.priority() is Priority.CRITICAL


CLOSES: list[tuple[str, str, dict[str, Any]]] = [
    ("TO.W", "Tornado Warning", {}),
    ("FF.W", "Flash Flood Warning", {"severity": "Severe"}),
    ("FF.W", "Flash Flood Warning", {"flood": "CATASTROPHIC", "severity": "Severe"}),
    ("SV.W", "Severe Thunderstorm Warning", {"severity": "Severe"}),
    ("TO.A", "Tornado Watch", {"urgency": "Future", "certainty": "Possible"}),
    ("FW.A", "Fire Weather Watch", {"severity": "Severe", "urgency": "Future"}),
    ("WI.Y", "Wind Advisory", {"severity": "Moderate", "urgency": "Expected"}),
    ("SQ.W", "Snow Squall Warning", {}),
]


@pytest.mark.parametrize("way", ["cancel", "past", "all_clear", "vtec"])
@pytest.mark.parametrize(("vtec_class", "event", "how"), CLOSES)
def test_a_close_is_never_slower_than_what_it_closes(
    vtec_class: str, event: str, how: dict[str, Any], way: str
) -> None:
    vtec = f"/O.{{}}.KBOU.{vtec_class}.0031.000000T0000Z-260618T2045Z/"
    own = {k: v for k, v in how.items() if k != "flood"}
    tags = {"flashFloodDamageThreat": [how["flood"]]} if "flood" in how else {}
    opening = _one(event=event, parameters={"VTEC": [vtec.format("NEW")], **tags}, **own)
    ending: dict[str, Any] = {
        "cancel": {"messageType": "Cancel"},
        "past": {"urgency": "Past"},
        "all_clear": {"response": "AllClear"},
        "vtec": {},
    }[way]
    closing = _one(
        **{
            "event": event,
            "severity": "Minor",
            "certainty": "Observed",
            "eventCode": None,
            **ending,
        },
        parameters={"VTEC": [vtec.format("EXP" if way == "vtec" else "CON")]},
    )
    assert closing.is_closing
    assert closing.priority() <= opening.priority()
    unnamed = _one(
        **{
            "event": event,
            "severity": "Minor",
            "eventCode": None,
            **ending,
            "messageType": "Cancel",
        },
        parameters={"VTEC": []},
    )
    assert unnamed.priority() <= opening.priority(), "the event's name serves without VTEC"


def test_a_geometry_is_kept_with_its_box_and_a_point_within() -> None:
    alert = _one()
    assert json.loads(alert.geometry or "") == TORNADO["geometry"]
    assert (alert.bbox_west, alert.bbox_south, alert.bbox_east, alert.bbox_north) == (
        -104.2,
        40.1,
        -103.7,
        40.6,
    )
    assert -104.2 < (alert.point_longitude or 0) < -103.7
    assert 40.1 < (alert.point_latitude or 0) < 40.6


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[[40.2, -104.2], [40.1, -103.8], [40.5, -103.7]]]},
        {"type": "Polygon", "coordinates": [[["a", "b"]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon"},
        {"type": "Blob", "coordinates": [1, 2]},
        {"type": "Point", "coordinates": [-104.2, True]},
        "POINT(1 2)",
    ],
)
def test_a_geometry_that_is_none_is_rejected(geometry: Any) -> None:
    assert "geometry" in _rejection({**_feature(), "geometry": geometry})


def test_a_broken_ring_still_has_a_point() -> None:
    bow_tie = {"type": "Polygon", "coordinates": [[[-105, 39], [-104, 40], [-105, 40], [-104, 39]]]}
    alert = _parse({**_feature(), "geometry": bow_tie})[0][0]
    assert alert.point_longitude is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "Catastrophic"},
        {"status": "actual"},
        {"messageType": "Retract"},
        {"sent": "yesterday"},
        {"id": ""},
        {"expires": "2026-13-01T00:00:00Z"},
    ],
)
def test_a_value_outside_the_vocabulary_is_rejected(changes: dict[str, Any]) -> None:
    assert _rejection(_feature(**changes))


def _clock() -> ManualClock:
    return ManualClock(datetime(2026, 6, 18, 20, 40, tzinfo=UTC))


class Api:
    """A small api.weather.gov."""

    def __init__(self) -> None:
        self.pages = [COLLECTION["features"][:3], COLLECTION["features"][3:], []]
        self.modified = "Thu, 18 Jun 2026 20:32:00 GMT"

    def answer(self, asked: Asked) -> Answer:
        """Answer the active list or a page of the history."""
        if asked.path.endswith("/alerts/active"):
            assert not asked.query, "an unknown parameter gets 400"
            if asked.headers.get("if-modified-since") == self.modified:
                return Answer(status=304)
            body = json.dumps(COLLECTION).encode()
            return Answer(body, headers=(("Last-Modified", self.modified),))
        index = int(asked.query.get("cursor", "0"))
        following = f"https://api.weather.gov/alerts?cursor={index + 1}"
        page = {"features": self.pages[index], "pagination": {"next": following}}
        return Answer(json.dumps(page).encode())


async def test_the_history_is_read_to_its_empty_page_and_only_every_ten_minutes() -> None:
    async with source(Api().answer, _clock()) as world:
        first = await world.poll(NwsAlerts)
        assert [d.kind for d in first.documents] == ["active", "history", "history", "history"]
        assert world.asked[1].query == {"start": "2026-06-18T18:40:00Z", "limit": "500"}
        assert [a.query.get("cursor") for a in world.asked[2:]] == ["1", "2"]
        assert first.cursor["sent_at"] == "2026-06-18T20:31:00.000000"
        world.clock.advance(30)
        second = await world.poll(NwsAlerts, first.cursor)
        assert [d.not_modified for d in second.documents] == [True]
        assert second.cursor == first.cursor
        world.asked.clear()
        world.clock.advance(570)
        await world.poll(NwsAlerts, second.cursor)
        # Two hours before the newest message seen, which our clock has no say in.
        assert world.asked[1].query["start"] == "2026-06-18T18:31:00Z"


async def test_after_a_long_outage_the_history_starts_where_we_stopped() -> None:
    async with source(Api().answer, _clock()) as world:
        cursor: Cursor = {"sent_at": "2026-06-17T10:00:00.000000"}
        await world.poll(NwsAlerts, cursor)
        assert world.asked[1].query["start"] == "2026-06-17T08:00:00Z"
        await world.poll(NwsAlerts, {"sent_at": "2026-01-01T00:00:00.000000"})
        assert world.asked[5].query["start"] == "2026-06-11T20:40:00Z", "seven days are held"


async def test_the_next_page_must_not_lead_to_another_host() -> None:
    def astray(asked: Asked) -> Answer:
        page = {"features": COLLECTION["features"], "pagination": {"next": "https://evil.example/"}}
        return Answer(json.dumps(page).encode())

    async with source(astray, _clock()) as world:
        with pytest.raises(DocumentError, match="evil"):
            await world.poll(NwsAlerts)


async def test_paging_in_circles_ends() -> None:
    def circle(asked: Asked) -> Answer:
        page = {
            "features": COLLECTION["features"],
            "pagination": {"next": "https://api.weather.gov/alerts?cursor=same"},
        }
        return Answer(json.dumps(page).encode())

    async with source(circle, _clock()) as world:
        with pytest.raises(DocumentError, match="does not end"):
            await world.poll(NwsAlerts)


async def test_a_stale_cache_is_told() -> None:
    date = ("Date", "Thu, 18 Jun 2026 23:00:00 GMT")

    def old(asked: Asked) -> Answer:
        return Answer(json.dumps({**COLLECTION, "pagination": {}}).encode(), headers=(date,))

    async with source(old, _clock()) as world:
        poll = await world.poll(NwsAlerts)
        (warning,) = SCRAPER.warnings(poll.documents[0])
    assert "stale cache" in warning


async def test_a_backfill_reads_its_days_from_the_history() -> None:
    async with source(Api().answer, _clock()) as world:
        poll = await world.poll(NwsAlerts, {"since": "2026-06-15", "until": "2026-06-16"})
        assert [d.kind for d in poll.documents] == ["history"] * 3
        assert world.asked[0].query == {
            "start": "2026-06-15T00:00:00Z", "end": "2026-06-17T00:00:00Z", "limit": "500",
        }  # fmt: skip
