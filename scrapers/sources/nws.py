"""Alerts of the National Weather Service: https://www.weather.gov/documentation/services-web-api.

One stream: ``/alerts/active`` at every poll, conditionally, and every ten minutes ``/alerts`` from
two hours before the newest message seen, for what came and went between two polls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from emdata.contracts.base import SHORT_TEXT_LENGTH, Record, duration
from emdata.contracts.nws import Alert, AlertZone
from emdata.errors import DocumentError, RowError
from scrapers import values, wire
from scrapers.alert_state import (
    Reference,
    closed_event_keys,
    closing_reason,
    event_key,
    expired_references,
    leading_vtec,
    reference,
)
from scrapers.base import (
    Cursor,
    Document,
    EmergencyDataScraper,
    Watermark,
    backfill_of,
)
from scrapers.geo import Shape, shape_of
from scrapers.states import POSTAL_OF_FIPS
from scrapers.vtec import parse_vtec
from scrapers.zones import same_code, ugc_code

BASE = "https://api.weather.gov"
HISTORY_EVERY = "10min"
HISTORY_KEPT = timedelta(days=7)
MAX_PAGES = 200
STALE_AFTER = timedelta(minutes=10)
"""A nationwide list that was not updated for so long comes from a stuck cache."""

_ACCEPT = {"accept": "application/geo+json"}
_THREATS = ("CATASTROPHIC", "DESTRUCTIVE", "CONSIDERABLE")
_THREAT_TAGS = ("tornadoDamageThreat", "flashFloodDamageThreat", "thunderstormDamageThreat")


class _Reference(msgspec.Struct, frozen=True):
    identifier: str
    sender: str | None
    sent: str | None


_Parameters = dict[str, list[str] | str | None]


class _Properties(msgspec.Struct, rename="camel", frozen=True):
    id: str
    area_desc: str | None
    geocode: dict[str, list[str]]
    references: list[_Reference]
    sent: str
    effective: str | None
    expires: str | None
    status: Literal["Actual", "Exercise", "System", "Test", "Draft"]
    message_type: Literal["Alert", "Update", "Cancel", "Ack", "Error"]
    category: str | None
    severity: Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
    certainty: Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
    urgency: Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
    event: str
    sender: str | None
    sender_name: str | None
    description: str | None
    parameters: _Parameters
    onset: str | UnsetType | None = UNSET
    ends: str | UnsetType | None = UNSET
    headline: str | UnsetType | None = UNSET
    instruction: str | UnsetType | None = UNSET
    response: str | UnsetType | None = UNSET
    scope: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    web: str | UnsetType | None = UNSET
    event_code: dict[str, list[str]] | UnsetType | None = UNSET


class _Feature(msgspec.Struct, frozen=True):
    properties: _Properties
    geometry: Any


_OPTIONAL = ("onset", "ends", "headline", "instruction", "response", "scope", "language", "web")
# Known, and of no use here: links, and what the history says about later messages.
_UNUSED = {"@id", "@type", "affectedZones", "note", "code", "replacedBy", "replacedAt"}
_GEOCODES = frozenset({"SAME", "UGC"})
_EVENT_CODES = frozenset({"SAME", "NationalWeatherService"})
_KNOWN = wire.wire_names(_Properties) | _UNUSED
_TELLING = frozenset({"severity", "urgency", "certainty", "messageType", "event", "areaDesc"})


class NwsAlerts(EmergencyDataScraper):
    """All alerts of the country and the messages that end them."""

    name = "nws"
    emits = (Alert, AlertZone)
    every, relook, rate = "30s", "2h", "2/s"
    hosts = ("api.weather.gov",)
    rows_are_whole = True

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield the active alerts, then pages of the history when they are due."""
        stretch = backfill_of(cursor)
        if stretch is not None:
            start, end = (
                f"{day}T00:00:00Z" for day in (stretch[0], stretch[1] + timedelta(days=1))
            )
            async for page in self._pages({"start": start, "end": end, "limit": "500"}):
                yield page
            return
        etag, modified = cursor.get("etag"), cursor.get("last_modified")
        answer = await self.http.get(
            f"{BASE}/alerts/active",
            headers=_ACCEPT,
            etag=etag if isinstance(etag, str) else None,
            last_modified=modified if isinstance(modified, str) else None,
        )
        is_due = self._history_is_due(cursor)
        notes: Cursor = {}
        if not answer.not_modified:
            notes = {"etag": answer.etag, "last_modified": answer.last_modified}
        yield Document.of(answer, self.clock.now(), kind="active", is_last=not is_due, notes=notes)
        if is_due:
            async for page in self._history(cursor):
                yield page

    def _history_is_due(self, cursor: Cursor) -> bool:
        last = cursor.get("history_at")
        if not isinstance(last, str):
            return True
        return self.clock.now() - datetime.fromisoformat(last) >= duration(HISTORY_EVERY)

    def _history(self, cursor: Cursor) -> AsyncIterator[Document]:
        now, newest = self.clock.now(), cursor.get("sent_at")
        known = (
            datetime.fromisoformat(newest).replace(tzinfo=UTC) if isinstance(newest, str) else now
        )
        start = max(min(known, now) - duration(self.relook), now - HISTORY_KEPT)
        return self._pages(
            {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "limit": "500"},
            {"history_at": now.isoformat()},
        )

    async def _pages(
        self, params: dict[str, str], notes: Cursor | None = None
    ) -> AsyncIterator[Document]:
        url, query, asked = f"{BASE}/alerts", params or None, set[str]()
        while True:
            answer = await self.http.get(url, params=query, headers=_ACCEPT)
            page = Document.of(answer, self.clock.now(), kind="history", is_last=False)
            following = _next_page(page, self.hosts) if self.rows(page) else None
            if following is None:
                yield replace(page, is_last=True, notes=notes or {})
                return
            yield page
            if following in asked or len(asked) >= MAX_PAGES:
                raise DocumentError(f"{answer.url}: pagination does not end")
            asked.add(following)
            url, query = following, None

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut a FeatureCollection of alerts, or one alert, into features."""
        if document.not_modified:
            return []
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        members = wire.envelope(body, what=what)
        if "features" in members:
            rows = wire.array(members["features"], what=what)
        elif bytes(members.get("type", b"")) == b'"Feature"':
            rows = [msgspec.Raw(body)]
        else:
            raise DocumentError(f"{what}: no features: {_problem(body, members)}")
        if rows:
            names = _property_names(rows[0])
            if names and not names & _TELLING:
                raise DocumentError(f"{what}: features of another kind, not alerts")
        return rows

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        """Turn one feature into the message and its zones."""
        feature = wire.decode(raw, _Feature)
        row = feature.properties
        missing = [name for name in _OPTIONAL if getattr(row, name) is UNSET]
        if row.event_code is UNSET:
            missing.append("eventCode")
        if missing:
            values.refuse_renames(missing, _property_names(raw) - _KNOWN)
        for codes, known in ((row.geocode, _GEOCODES), (row.event_code, _EVENT_CODES)):
            if isinstance(codes, dict):
                names = frozenset(codes)
                values.refuse_renames(sorted(known - names), names - known)
        alert = _alert(row, feature.geometry)
        return (alert, *_zones(row, alert))

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Keep the newest ``sent`` and the validators of the last whole answer."""
        return {**seen.advance(cursor, "sent_at", Alert.dataset.name), **seen.notes}

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name properties that the API added."""
        rows = self.rows(document)
        return _property_names(rows[0]) - _KNOWN if rows else frozenset()

    def warnings(self, document: Document) -> tuple[str, ...]:
        """Say that a cache serves an old list of active alerts."""
        if document.kind != "active" or document.not_modified:
            return ()
        try:
            raw = wire.envelope(document.body, what=document.url).get("updated")
            updated = None if raw is None else values.instant(wire.decode(raw, str), "updated")
        except (DocumentError, RowError):
            return ("the list of active alerts has no readable `updated`",)
        if updated is None or document.served_at - updated <= STALE_AFTER:
            return ()
        return (f"the list of active alerts is of {updated.isoformat()}: a stale cache?",)


def _next_page(page: Document, hosts: Sequence[str]) -> str | None:
    """The address of the next page, which stands even on the last one.

    Raises DocumentError when it leads to another host.
    """
    raw = wire.envelope(page.body, what=page.url).get("pagination")
    following = wire.decode(raw, dict[str, str]).get("next") if raw is not None else None
    if following is None:
        return None
    if not any(following.startswith(f"https://{host}/") for host in hosts):
        raise DocumentError(f"{page.url}: next page at {values.shown(following)}")
    return following


def _property_names(raw: msgspec.Raw) -> frozenset[str]:
    try:
        properties = wire.envelope(bytes(raw), what="feature").get("properties")
    except DocumentError:
        return frozenset()
    return frozenset() if properties is None else wire.keys(properties)


def _problem(body: bytes, members: dict[str, msgspec.Raw]) -> str:
    said = [
        bytes(members[n]).decode("utf-8", "replace") for n in ("title", "detail") if n in members
    ]
    return "; ".join(said)[:200] if said else wire.shown(body)


def _alert(row: _Properties, geometry: Any) -> Alert:
    sent_at = values.instant(row.sent, "sent")
    vtec_texts = _texts(row.parameters, "VTEC")
    vtecs = [vtec for text in vtec_texts if (vtec := parse_vtec(text)) is not None]
    references = [reference(r.identifier, r.sender, r.sent) for r in row.references]
    expired = expired_references(_texts(row.parameters, "expiredReferences"))
    leading, response = leading_vtec(vtecs), _short(row.response, "response")
    reason = closing_reason(
        message_type=row.message_type, urgency=row.urgency, response=response, vtecs=vtecs
    )
    alert_id = values.required(row.id, "id")
    key = event_key(alert_id, sent_at, leading, [*references, *expired])
    ends_at, expires_at = _instant(row.ends, "ends"), _instant(row.expires, "expires")
    closed = closed_event_keys(vtecs, sent_at, key, is_closing=reason is not None)
    codes = row.event_code if isinstance(row.event_code, dict) else None
    return Alert(
        alert_id=alert_id,
        event_key=values.required(key, "event_key"),
        sent_at=sent_at,
        sent_offset=values.utc_offset(row.sent),
        effective_at=_instant(row.effective, "effective"),
        onset_at=_instant(row.onset, "onset"),
        expires_at=expires_at,
        ends_at=ends_at,
        hazard_ends_at=ends_at or _event_ending_time(row.parameters) or expires_at,
        status=row.status,
        message_type=row.message_type,
        category=_short(row.category, "category"),
        severity=row.severity,
        certainty=row.certainty,
        urgency=row.urgency,
        event=_short(row.event, "event"),
        event_code=_event_code(codes),
        event_codes=values.json_text(codes, "eventCode"),
        sender=_short(row.sender, "sender"),
        sender_name=_short(row.sender_name, "senderName"),
        headline=_long(row.headline, "headline", 4096),
        description=_long(row.description, "description"),
        instruction=_long(row.instruction, "instruction"),
        response=response,
        area_description=_long(row.area_desc, "areaDesc"),
        scope=_short(row.scope, "scope"),
        language=_short(row.language, "language"),
        web=_long(row.web, "web", 2048),
        vtec=values.json_text(vtec_texts, "VTEC"),
        vtec_class=leading.event_class if leading else None,
        vtec_actions=",".join(dict.fromkeys(v.action for v in vtecs)) or None,
        closed_event_keys=values.json_text(closed, "VTEC"),
        references_json=_references(references),
        expired_references=_references(expired),
        parameters=values.json_text(row.parameters, "parameters"),
        damage_threat=_damage_threat(row.parameters),
        is_closing=reason is not None,
        closing_reason=reason,
        **_geometry(shape_of(geometry)),
    )


def _geometry(shape: Shape | None) -> dict[str, Any]:
    if shape is None:
        return {}
    return {
        "geometry": shape.geojson,
        "bbox_west": shape.west,
        "bbox_south": shape.south,
        "bbox_east": shape.east,
        "bbox_north": shape.north,
        "point_longitude": shape.longitude,
        "point_latitude": shape.latitude,
    }


def _zones(row: _Properties, alert: Alert) -> list[AlertZone]:
    """One row per UGC zone and one per SAME code; vendors of other messages send SAME only."""
    zones: dict[str, tuple[str, str | None]] = {
        ugc_code(code): ("ugc", code[:2]) for code in row.geocode.get("UGC", [])
    }
    same = row.geocode.get("SAME", [])
    for code in same:
        zones[same_code(code)] = ("same", POSTAL_OF_FIPS.get(code[1:3]))
    same_codes = values.json_text(same, "geocode.SAME")
    return [
        AlertZone(
            alert_id=alert.alert_id,
            zone_code=code,
            code_type=code_type,
            state=state,
            event_key=alert.event_key,
            event=alert.event,
            event_code=alert.event_code,
            vtec_class=alert.vtec_class,
            severity=alert.severity,
            certainty=alert.certainty,
            urgency=alert.urgency,
            message_type=alert.message_type,
            status=alert.status,
            sender=alert.sender,
            sent_at=alert.sent_at,
            onset_at=alert.onset_at,
            expires_at=alert.expires_at,
            hazard_ends_at=alert.hazard_ends_at,
            damage_threat=alert.damage_threat,
            is_closing=alert.is_closing,
            closing_reason=alert.closing_reason,
            same_codes=same_codes,
        )
        for code, (code_type, state) in zones.items()
    ]


def _texts(parameters: _Parameters, name: str) -> list[str]:
    """The texts of a parameter; by the schema a list, and a bare text is taken as a list of one."""
    value = parameters.get(name)
    return [value] if isinstance(value, str) else value or []


def _event_ending_time(parameters: _Parameters) -> datetime | None:
    texts = [text for text in _texts(parameters, "eventEndingTime") if text.strip()]
    return values.instant(texts[0], "eventEndingTime") if texts else None


def _damage_threat(parameters: _Parameters) -> str | None:
    found = {t.strip().upper() for tag in _THREAT_TAGS for t in _texts(parameters, tag)}
    known = [threat for threat in _THREATS if threat in found]
    return known[0] if known else _short(next(iter(sorted(found)), None), "damage threat")


def _event_code(codes: dict[str, list[str]] | None) -> str | None:
    """The SAME code; where that only says NWS, the finer code of the NWS."""
    if not codes:
        return None
    same = next(iter(codes.get("SAME", [])), None)
    own = next(iter(codes.get("NationalWeatherService", [])), None)
    return _short(own if own and same in (None, "NWS") else same, "eventCode")


def _references(references: Sequence[Reference]) -> str | None:
    listed = [{"identifier": r.identifier, "sender": r.sender, "sent": r.sent} for r in references]
    return values.json_text(listed, "references")


def _instant(text: str | UnsetType | None, field: str) -> datetime | None:
    return values.instant(text, field) if isinstance(text, str) and text else None


def _short(text: str | UnsetType | None, field: str) -> str | None:
    return _long(text, field, SHORT_TEXT_LENGTH)


def _long(
    text: str | UnsetType | None, field: str, max_length: int = values.LONGEST_TEXT
) -> str | None:
    return values.clean(text, field, max_length=max_length) if isinstance(text, str) else None
