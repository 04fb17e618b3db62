"""An alert message as the GeoJSON feature of api.weather.gov."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from simulator.geography.zones import Office
from simulator.instants import utc, with_offset
from simulator.nws.events import Message
from simulator.seeds import stream

BASE = "https://api.weather.gov/alerts/"
_SENDER = "w-nws.webmaster@noaa.gov"


def feature(message: Message, seed: int) -> dict[str, Any]:
    """Return the feature; history adds replacedBy and replacedAt to its properties."""
    return {
        "id": BASE + message.id,
        "type": "Feature",
        "geometry": _polygon(message, seed) if message.kind.polygon else None,
        "properties": _properties(message),
    }


def _properties(message: Message) -> dict[str, Any]:
    kind, office = message.kind, message.areas[0].office
    foreign = bool(kind.sender)
    sent = with_offset(message.sent, office.hours)
    geocode: dict[str, list[str]] = {
        "SAME": list(dict.fromkeys(code for area in message.areas for code in area.same))
    }
    if not foreign:
        geocode["UGC"] = [area.ugc for area in message.areas]
    severity, certainty, urgency, response = _ratings(message)
    return {
        "@id": BASE + message.id,
        "@type": "wx:Alert",
        "id": message.id,
        "areaDesc": "; ".join(area.name for area in message.areas),
        "geocode": geocode,
        "affectedZones": [] if foreign else [area.url for area in message.areas],
        "references": [_reference(old, office) for old in message.references],
        "sent": sent,
        "effective": sent,
        "onset": None if foreign else with_offset(message.onset, office.hours),
        "expires": with_offset(message.expires, office.hours),
        "ends": with_offset(message.ends, office.hours) if kind.phenomenon else None,
        "status": kind.status,
        "messageType": _message_type(message),
        "category": kind.category,
        "severity": severity,
        "certainty": certainty,
        "urgency": urgency,
        "event": kind.event,
        "sender": _foreign_sender(message) if foreign else _SENDER,
        "senderName": _foreign_name(message) if foreign else office.name,
        "headline": _headline(message, office),
        "description": _description(message),
        "instruction": _instruction(message),
        "response": response,
        "note": None,
        "parameters": _parameters(message, office),
        "scope": "Public",
        "code": "IPAWSv1.0",
        "language": "en-US",
        "web": None if foreign else "http://www.weather.gov",
        "eventCode": _event_code(message),
    }


def _ratings(message: Message) -> tuple[str, str, str, str]:
    kind = message.kind
    if message.way == "cancel":
        return "Minor", "Observed", "Past", "AllClear"
    if message.way == "past":
        return kind.severity, "Observed", "Past", "Monitor"
    if message.way == "all_clear":
        return "Minor", "Observed", "Unknown", "AllClear"
    if message.way == "vtec":
        return kind.severity, kind.certainty, kind.urgency, "Monitor"
    return kind.severity, kind.certainty, kind.urgency, kind.response


def _message_type(message: Message) -> str:
    if message.way == "cancel":
        return "Cancel"
    if message.way == "past" or message.action == "NEW":
        return "Alert"
    return "Update"


def _reference(old: Message, office: Office) -> dict[str, str]:
    return {
        "@id": BASE + old.id,
        "identifier": old.id,
        "sender": _foreign_sender(old) if old.kind.sender else _SENDER,
        "sent": with_offset(old.sent, office.hours),
    }


def _parameters(message: Message, office: Office) -> dict[str, list[str]]:
    kind = message.kind
    if kind.sender:
        return {
            "EAS-ORG": ["CIV"],
            "BLOCKCHANNEL": ["CMAS", "PUBLIC", "EAS"],
            "timezone": [office.zone],
        }
    parameters = {
        "AWIPSidentifier": [f"{kind.product}{office.code}"],
        "WMOidentifier": [f"WWUS75 K{office.code} {utc(message.sent):%d%H%M}"],
        "NWSheadline": [f"{kind.event.upper()} {_until(message, office).upper()}"],
        "BLOCKCHANNEL": ["EAS", "NWEM", "CMAS"],
    }
    if kind.phenomenon:
        parameters["EAS-ORG"] = ["WXR"]
        parameters["VTEC"] = [_vtec(message, office)]
        parameters["eventEndingTime"] = [with_offset(message.ends, office.hours)]
    if kind.event == "Tornado Warning":
        parameters["tornadoDetection"] = ["RADAR INDICATED"]
    if message.expired:
        parameters["expiredReferences"] = [
            " ".join(
                f"{_SENDER},{old.id},{with_offset(old.sent, office.hours)}"
                for old in reversed(message.expired)
            )
        ]
    return parameters


def _vtec(message: Message, office: Office) -> str:
    kind, stamp = message.kind, "%y%m%dT%H%MZ"
    begun = message.onset <= message.sent and message.action != "NEW"
    begins = "000000T0000Z" if begun else f"{utc(message.onset):{stamp}}"
    return (
        f"/O.{message.action}.K{office.code}.{kind.phenomenon}.{kind.significance}"
        f".{message.event.number:04d}.{begins}-{utc(message.ends):{stamp}}/"
    )


def _event_code(message: Message) -> dict[str, list[str]]:
    codes = {"SAME": [message.kind.same]}
    if message.kind.code:
        codes["NationalWeatherService"] = [message.kind.code]
    return codes


def _headline(message: Message, office: Office) -> str:
    kind = message.kind
    if kind.sender:
        return f"{kind.event} for {message.areas[0].name}"
    if message.way == "cancel":
        return f"The {kind.event} has been cancelled."
    if message.way == "past":
        return f"The {kind.event} has been replaced. Please see the latest information."
    if message.way is not None:
        return f"The {kind.event} has expired."
    issued = _local(message.sent, office)
    return f"{kind.event} issued {issued} {_until(message, office)} by {office.name}"


def _until(message: Message, office: Office) -> str:
    return f"until {_local(message.ends, office)}"


def _local(instant: float, office: Office) -> str:
    local = utc(instant) + timedelta(hours=office.hours)
    hour = local.hour % 12 or 12
    return f"{local:%B} {local.day} at {hour}:{local:%M%p} {office.zone}"


def _description(message: Message) -> str:
    where = ", ".join(area.name for area in message.areas)
    text = f"SIMULATED DATA. {message.kind.event}.\n\n* WHERE...{where}.\n\n"
    if message.way is not None:
        text += "* WHAT...Conditions no longer meet the criteria; the alert has ended."
    else:
        text += (
            f"* WHAT...{message.kind.event} conditions.\n\n"
            f"* WHEN...{_until(message, message.areas[0].office).capitalize()}.\n\n"
            f"* IMPACTS...Travel and outdoor work could be affected."
        )
    return text + (f"\n\n* UPDATE...{message.edits}." if message.edits else "")


def _instruction(message: Message) -> str | None:
    if message.way is not None or message.kind.severity in ("Minor", "Unknown"):
        return None
    if message.kind.response == "Shelter":
        return "Move to an interior room on the lowest floor of a sturdy building."
    return "Monitor the latest forecasts and be prepared to act."


def _foreign_sender(message: Message) -> str:
    return f"{message.areas[0].ugc}-{message.kind.sender}".replace(" ", "").replace("'", "")


def _foreign_name(message: Message) -> str:
    return f"{message.areas[0].name.split(',')[0]} County {message.kind.sender}"


def _polygon(message: Message, seed: int) -> dict[str, Any]:
    """A closed ring around the first area; the same for all messages of an event's areas."""
    area = message.areas[0]
    rng = stream(seed, "nws", "polygon", message.event.name, area.ugc)
    corners = rng.randint(4, 8)
    ring = []
    for corner in range(corners):
        angle = 2 * math.pi * corner / corners
        reach = rng.uniform(0.12, 0.35)
        ring.append(
            [
                round(area.longitude + reach * math.cos(angle), 2),
                round(area.latitude + reach * math.sin(angle), 2),
            ]
        )
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
