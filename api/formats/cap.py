"""One alert as CAP 1.2: http://docs.oasis-open.org/emergency/cap/v1.2/CAP-v1.2-os.html.

Elements stand in the schema's order and enumerations are checked, so that a receiver's validation
passes; what was never said is not made up. A message of the simulator has the status Test: no
receiver may ever take it for an actual one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

import orjson

from api.catalog.model import Collection
from api.formats.model import Document, Row
from api.formats.xml import child, document, optional
from api.problems import Problem

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml"
COLUMNS = frozenset(
    ("alert_id", "sender", "sent_at", "status", "message_type", "scope", "category", "event")
)
CATEGORIES = (
    *("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport"),
    *("Infra", "CBRNE", "Other"),
)
RESPONSES = (
    *("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear"),
    "None",
)
ENUMERATIONS: Mapping[str, tuple[str, ...]] = {
    "status": ("Actual", "Exercise", "System", "Test", "Draft"),
    "message_type": ("Alert", "Update", "Cancel", "Ack", "Error"),
    "scope": ("Public", "Restricted", "Private"),
    "category": CATEGORIES,
    "urgency": ("Immediate", "Expected", "Future", "Past", "Unknown"),
    "severity": ("Extreme", "Severe", "Moderate", "Minor", "Unknown"),
    "certainty": ("Observed", "Likely", "Possible", "Unlikely", "Unknown"),
}
SIMULATED_NOTE = "Made by a simulator for tests. Not an actual alert."
ZONES = "zones"
"""In Document.extra: kind of code (ugc or same) and code of each area of the message."""
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)\Z", re.ASCII)
_NOT_IN_IDS = re.compile(r"[\s,<&]")
_GEOCODES = {"ugc": "UGC", "same": "SAME"}


def is_alert(collection: Collection) -> bool:
    """Whether items of a collection are whole messages that CAP has a form for."""
    return collection.by_name.keys() >= COLUMNS


class CapEncoder:
    """Encodes the one item of a document."""

    def __init__(self, around: Document) -> None:
        self._around = around

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the alert of the only row.

        Raises Problem ``not-acceptable`` for a message that lacks what CAP requires.
        """
        (row,) = rows
        values = dict(zip(self._around.layout, row, strict=True))
        return document(alert(values, self._around))

    def end(self) -> bytes:
        """Return nothing."""
        return b""


def alert(values: Mapping[str, Any], around: Document) -> Element:
    """Return the element ``alert`` of a row's values by name."""
    _check(values)
    is_simulated = around.origin.is_simulated or bool(values.get("is_simulated"))
    root = Element("alert", {"xmlns": NAMESPACE})
    child(root, "identifier", _id(values, "alert_id"))
    child(root, "sender", _id(values, "sender"))
    child(root, "sent", instant(values["sent_at"], values.get("sent_offset")))
    child(root, "status", "Test" if is_simulated else values["status"])
    child(root, "msgType", values["message_type"])
    child(root, "scope", values["scope"])
    if is_simulated:
        child(root, "note", SIMULATED_NOTE)
    optional(root, "references", " ".join(_references(values.get("references_json"))))
    _info(root, values, around)
    return root


def instant(value: datetime, offset: str | None = None) -> str:
    """Return an instant of UTC as CAP writes it: whole seconds, with an offset, never ``Z``."""
    match = _OFFSET.match(offset or "")
    if match is None:
        return f"{value:%Y-%m-%dT%H:%M:%S}-00:00"
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    local = value + shift if match[1] == "+" else value - shift
    return f"{local:%Y-%m-%dT%H:%M:%S}{match[0]}"


def _info(root: Element, values: Mapping[str, Any], around: Document) -> None:
    info = child(root, "info")
    offset = values.get("sent_offset")
    optional(info, "language", values.get("language"))
    child(info, "category", values["category"])
    child(info, "event", values["event"])
    if values.get("response") in RESPONSES:
        child(info, "responseType", values["response"])
    for name in ("urgency", "severity", "certainty"):
        child(info, name, values.get(name) or "Unknown")
    for name, value in _pairs(values.get("event_codes")):
        _pair(info, "eventCode", name, value)
    for element, name in (
        ("effective", "effective_at"),
        ("onset", "onset_at"),
        ("expires", "expires_at"),
    ):
        if values.get(name) is not None:
            child(info, element, instant(values[name], offset))
    optional(info, "senderName", values.get("sender_name"))
    for name in ("headline", "description", "instruction"):
        optional(info, name, values.get(name))
    optional(info, "web", values.get("web"))
    for name, value in _pairs(values.get("parameters")):
        _pair(info, "parameter", name, value)
    _area(info, values, around)


def _area(info: Element, values: Mapping[str, Any], around: Document) -> None:
    rings = list(polygons(values.get("geometry")))
    codes = around.extra.get(ZONES, ())
    words = values.get("area_description")
    if not (rings or codes or words):
        return
    area = child(info, "area")
    child(area, "areaDesc", words or "See the codes of the areas")
    for ring in rings:
        child(area, "polygon", ring)
    for kind, code in codes:
        if kind in _GEOCODES:
            # A SAME code is kept as S and the county, so that it is no UGC.
            _pair(area, "geocode", _GEOCODES[kind], code[1:] if kind == "same" else code)


def polygons(geometry: str | None) -> Iterator[str]:
    """Yield the outer rings of a GeoJSON (multi)polygon as ``latitude,longitude`` pairs, closed.

    CAP has no holes; what is inside one is warned too.
    """
    shape = _json(geometry)
    if not isinstance(shape, dict):
        return
    coordinates = shape.get("coordinates") or []
    parts = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(str(shape.get("type")), [])
    for part in parts:
        ring = part[0] if part else []
        if len(ring) >= 4 and ring[0][:2] == ring[-1][:2]:
            yield " ".join(f"{point[1]},{point[0]}" for point in ring)


def _check(values: Mapping[str, Any]) -> None:
    for name, allowed in ENUMERATIONS.items():
        value = values.get(name)
        if value is None and name in ("urgency", "severity", "certainty"):
            continue  # CAP's own word for it is Unknown
        if value not in allowed:
            raise _not_cap(name, value, ", ".join(allowed))
    for name in ("alert_id", "sender", "event"):
        if not values.get(name):
            raise _not_cap(name, values.get(name), "text")


def _not_cap(name: str, value: object, allowed: str) -> Problem:
    detail = f"this message has no form in CAP 1.2: {name} is {value!r}; CAP allows: {allowed}"
    return Problem("not-acceptable", detail, headers={"Vary": "Accept"}, property=name)


def _id(values: Mapping[str, Any], name: str) -> str:
    """Identifiers and senders must not have what separates references (CAP 3.2.1)."""
    return _NOT_IN_IDS.sub("_", str(values[name]))


def _references(text: str | None) -> Iterator[str]:
    for one in _json(text) or ():
        parts = [str(one.get(name) or "") for name in ("sender", "identifier", "sent")]
        sent = _sent(parts[2])
        if parts[0] and parts[1] and sent:
            yield ",".join([*(_NOT_IN_IDS.sub("_", part) for part in parts[:2]), sent])


def _sent(text: str) -> str | None:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return None
    if given.tzinfo is None:
        return None
    return f"{given:%Y-%m-%dT%H:%M:%S}{text[-6:] if _OFFSET.match(text[-6:]) else '-00:00'}"


def _pairs(text: str | None) -> Iterator[tuple[str, str]]:
    """Yield name and value of JSON lists by name; what CAP repeats, it repeats with its name."""
    given = _json(text)
    if not isinstance(given, dict):
        return
    for name, values in given.items():
        for value in values if isinstance(values, list) else [values]:
            shown = value if isinstance(value, str) else orjson.dumps(value).decode()
            yield name, shown


def _pair(parent: Element, element: str, name: str, value: str) -> None:
    made = child(parent, element)
    child(made, "valueName", name)
    child(made, "value", value)


def _json(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
