"""Alerts of the National Weather Service: https://www.weather.gov/documentation/services-web-api."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import (
    Dataset,
    Doc,
    GeoJsonText,
    JsonText,
    LongText,
    Priority,
    Record,
    Text,
    UtcDatetime,
)
from emdata.contracts.nws_priority import alert_priority

_TERMS = "US public domain; the NWS asks for an identifying User-Agent"


class Alert(Record, frozen=True, kw_only=True):
    """One message about an alert. Each update is a message with an id of its own.

    ``event_key`` joins the messages about one event. Presence in the feed does not mean that an
    alert is in force, and absence is not cancellation: see ``is_closing`` and ``hazard_ends_at``.
    """

    alert_id: A[str, Doc("Id of the message")]
    event_key: A[
        str,
        Doc(
            "VTEC office.phenomenon.significance.number.year; without VTEC the id of the earliest "
            "message that this one refers to, or its own"
        ),
    ]
    sent_at: A[UtcDatetime, Doc("When the message was sent")]
    sent_offset: A[str | None, Doc("UTC offset that the source wrote, such as -06:00")] = None
    effective_at: A[UtcDatetime | None, Doc("From when the message holds")] = None
    onset_at: A[UtcDatetime | None, Doc("Expected begin of the hazard")] = None
    expires_at: A[UtcDatetime | None, Doc("When the product lapses, not the hazard")] = None
    ends_at: A[UtcDatetime | None, Doc("Expected end of the hazard, as stated")] = None
    hazard_ends_at: A[
        UtcDatetime | None,
        Doc("End of the hazard: ends, else eventEndingTime, else expires"),
    ] = None
    status: A[str | None, Doc("Actual, Exercise, System, Test or Draft")] = None
    message_type: A[str | None, Doc("Alert, Update, Cancel, Ack or Error")] = None
    category: A[str | None, Doc("CAP category, such as Met")] = None
    severity: A[str | None, Doc("Extreme, Severe, Moderate, Minor or Unknown")] = None
    certainty: A[str | None, Doc("Observed, Likely, Possible, Unlikely or Unknown")] = None
    urgency: A[str | None, Doc("Immediate, Expected, Future, Past or Unknown")] = None
    event: A[str | None, Doc("Name of the event, such as Tornado Warning")] = None
    event_code: A[
        str | None,
        Doc("SAME code, or NWS code where SAME only says NWS; may disagree with event"),
    ] = None
    event_codes: A[JsonText | None, Doc("All event codes by kind, as JSON")] = None
    sender: A[str | None, Doc("Address of the sender")] = None
    sender_name: A[str | None, Doc("Name of the sender")] = None
    headline: A[str | None, Text(4096), Doc("Headline")] = None
    description: A[LongText | None, Doc("What happens, where and when")] = None
    instruction: A[LongText | None, Doc("What to do")] = None
    response: A[str | None, Doc("CAP response, such as Shelter or AllClear")] = None
    area_description: A[LongText | None, Doc("Areas in words")] = None
    scope: A[str | None, Doc("CAP scope")] = None
    language: A[str | None, Doc("Language tag")] = None
    web: A[str | None, Text(2048), Doc("Web address for more")] = None
    vtec: A[JsonText | None, Doc("VTEC strings as a JSON list")] = None
    vtec_class: A[
        str | None, Doc("VTEC phenomenon and significance of event_key, such as TO.W")
    ] = None
    vtec_actions: A[str | None, Doc("VTEC actions, separated by commas")] = None
    closed_event_keys: A[
        JsonText | None, Doc("Event keys that this message ends, as a JSON list")
    ] = None
    references_json: A[
        JsonText | None, Doc("Earlier messages: identifier, sender, sent, as a JSON list")
    ] = None
    expired_references: A[
        JsonText | None, Doc("Earlier messages that have expired, as a JSON list")
    ] = None
    parameters: A[JsonText | None, Doc("All parameters, lists by name, as JSON")] = None
    damage_threat: A[
        str | None, Doc("Worst damage threat tag: CATASTROPHIC, DESTRUCTIVE, CONSIDERABLE, ...")
    ] = None
    is_closing: A[bool, Doc("The message ends the alert")] = False
    closing_reason: A[
        str | None, Doc("How it ends: cancel, past, all_clear or vtec; null while open")
    ] = None
    geometry: A[GeoJsonText | None, Doc("GeoJSON geometry, WGS 84; null: by zones only")] = None
    bbox_west: A[float | None, Doc("Western edge of the geometry", "deg")] = None
    bbox_south: A[float | None, Doc("Southern edge of the geometry", "deg")] = None
    bbox_east: A[float | None, Doc("Eastern edge of the geometry", "deg")] = None
    bbox_north: A[float | None, Doc("Northern edge of the geometry", "deg")] = None
    point_longitude: A[float | None, Doc("A point within the geometry", "deg")] = None
    point_latitude: A[float | None, Doc("A point within the geometry", "deg")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="nws_alerts",
        source="nws",
        domain="weather",
        title="NWS alerts, every message",
        key=("alert_id",),
        version="sent_at",
        # Follow from the geometry; a new release of a geometry library must not republish them.
        unhashed=(
            "bbox_west",
            "bbox_south",
            "bbox_east",
            "bbox_north",
            "point_longitude",
            "point_latitude",
        ),
        event_time="sent_at",
        fresh_within="10min",
        periodic=True,
        approved_critical=True,
        landing_group="alerts",
        terms=_TERMS,
        description="Watches, warnings and advisories as messages of the Common Alerting Protocol.",
    )

    def priority(self) -> Priority:
        """By severity, urgency and certainty; a close has the priority of what it closes."""
        return alert_priority(self)


class AlertZone(Record, frozen=True, kw_only=True):
    """One area that one message names. An alert is opened and closed per event and area.

    A cancellation may cover a part of the earlier area only.
    """

    alert_id: A[str, Doc("Id of the message")]
    zone_code: A[str, Doc("UGC such as COZ036, or S and the county's FIPS code such as S08013")]
    code_type: A[str, Doc("ugc or same")]
    state: A[str | None, Doc("State, or marine area, in two letters")] = None
    event_key: A[str, Doc("As in nws_alerts")]
    event: A[str | None, Doc("Name of the event")] = None
    event_code: A[str | None, Doc("As in nws_alerts")] = None
    vtec_class: A[str | None, Doc("As in nws_alerts")] = None
    severity: A[str | None, Doc("Extreme, Severe, Moderate, Minor or Unknown")] = None
    certainty: A[str | None, Doc("Observed, Likely, Possible, Unlikely or Unknown")] = None
    urgency: A[str | None, Doc("Immediate, Expected, Future, Past or Unknown")] = None
    message_type: A[str | None, Doc("Alert, Update, Cancel, Ack or Error")] = None
    status: A[str | None, Doc("Actual, Exercise, System, Test or Draft")] = None
    sender: A[str | None, Doc("Address of the sender")] = None
    sent_at: A[UtcDatetime, Doc("When the message was sent")]
    onset_at: A[UtcDatetime | None, Doc("Expected begin of the hazard")] = None
    expires_at: A[UtcDatetime | None, Doc("When the product lapses, not the hazard")] = None
    hazard_ends_at: A[UtcDatetime | None, Doc("End of the hazard, as in nws_alerts")] = None
    damage_threat: A[str | None, Doc("As in nws_alerts")] = None
    is_closing: A[bool, Doc("The message ends the alert for this area")] = False
    closing_reason: A[str | None, Doc("As in nws_alerts")] = None
    same_codes: A[JsonText | None, Doc("SAME codes of the whole message, as a JSON list")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="nws_alert_zones",
        source="nws",
        domain="weather",
        title="NWS alerts by zone and county",
        key=("alert_id", "zone_code"),
        version="sent_at",
        event_time="sent_at",
        region="state",
        fresh_within="10min",
        periodic=True,
        approved_critical=True,
        landing_group="alerts",
        terms=_TERMS,
        description="One row per message and UGC zone, and one per message and SAME county code.",
    )

    def priority(self) -> Priority:
        """The priority of the message."""
        return alert_priority(self)
