"""Documents of small collections for tests of formats."""
# Rows hold instants as StarRocks has them: in UTC, without a zone.
# ruff: noqa: DTZ001

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from api.catalog.datasets import collection_of
from api.catalog.model import Collection, Geometry, Property
from api.formats.answer import encoded
from api.formats.model import Document, Format, Origin
from api.formats.negotiate import FORMATS
from emdata.contracts import contracts

AT = datetime(2026, 11, 21, 16, tzinfo=UTC)
ORIGIN = Origin(False, "v1", datetime(2026, 11, 21, 15, 59, 58, tzinfo=UTC))
SIMULATED = Origin(True, "v1")
URL = "http://127.0.0.1:8000/collections/posts/items"

POSTS = Collection(
    id="posts",
    title="Posts",
    description="Posts that stand somewhere",
    table="raw_data.posts",
    key=("name",),
    properties=(
        Property("name", "string", "Name", is_nullable=False),
        Property("height_m", "number", "Height above ground", "m"),
        Property("count", "integer", "How many"),
        Property("is_open", "boolean", "Whether it is open"),
        Property("seen_on", "date", "Day of the last visit"),
        Property("seen_at", "date-time", "Instant of the last visit"),
        Property("notes", "json", "Notes"),
        Property("shape", "json", "Its outline"),
        Property("longitude", "number", "Longitude", "deg"),
        Property("latitude", "number", "Latitude", "deg"),
    ),
    domain="test",
    terms="public domain",
    geometry=Geometry("shape", ("longitude", "latitude")),
)
LAYOUT = tuple(one.name for one in POSTS.properties)
LINE = '{"type":"LineString","coordinates":[[-105.0,40.0],[-104.0,41.5]]}'
FULL = (
    *("a|b", 1.5, 7, 1, date(2026, 11, 20), datetime(2026, 11, 20, 8, 30, 0, 1500)),
    *('{"seen":[1,2.50]}', LINE, -104.5, 40.75),
)
EMPTY = ("zero", None, None, None, None, None, None, None, None, None)
POINT = ("dot", -2.25, -3, 0, None, None, None, None, 179.5, -10.0)
ROWS = (FULL, EMPTY, POINT)


def form(name: str) -> Format:
    """The format of a name."""
    (found,) = [one for one in FORMATS if one.name == name]
    return found


def document(**changes: Any) -> Document:
    """A document of posts."""
    links = ({"href": URL, "rel": "self", "type": "application/geo+json"},)
    given: dict[str, Any] = {
        "collection": POSTS,
        "layout": LAYOUT,
        "origin": ORIGIN,
        "at": AT,
        "links": links,
        **changes,
    }
    return Document(**given)


def written(name: str, rows: Sequence[Sequence[Any]] = ROWS, **changes: Any) -> bytes:
    """Rows of posts in a format."""
    return encoded(form(name), document(**changes), rows)


ALERTS = collection_of(contracts()["nws_alerts"])
ALERT: Mapping[str, Any] = {
    "alert_id": "urn:oid:2.49.0.1.840.0.made.1",
    "event_key": "KBOU.FF.W.0007.2026",
    "sent_at": datetime(2026, 11, 21, 15),
    "sent_offset": "-07:00",
    "effective_at": datetime(2026, 11, 21, 15),
    "onset_at": None,
    "expires_at": datetime(2026, 11, 21, 18, 45),
    "status": "Actual",
    "message_type": "Update",
    "category": "Met",
    "severity": "Severe",
    "certainty": "Likely",
    "urgency": "Immediate",
    "event": "Flash Flood Warning",
    "event_codes": '{"SAME":["FFW"],"NationalWeatherService":["FFW"]}',
    "sender": "w-nws.webmaster@noaa.gov",
    "sender_name": "NWS Denver CO",
    "headline": "Flash Flood Warning <until> 11:45 & later",
    "description": "Water rises.\x0bQuickly.",
    "instruction": "Move to higher ground.",
    "response": "Avoid",
    "area_description": "Boulder, CO; Larimer, CO",
    "scope": "Public",
    "language": "en-US",
    "web": "http://www.weather.gov",
    "references_json": (
        '[{"identifier":"urn:oid:2.49.0.1.840.0.made.0","sender":"w-nws.webmaster@noaa.gov",'
        '"sent":"2026-11-21T07:30:00-07:00"}]'
    ),
    "parameters": '{"AWIPSidentifier":["FFWBOU"],"VTEC":["/O.CON.KBOU.FF.W.0007/"]}',
    "geometry": (
        '{"type":"Polygon","coordinates":'
        "[[[-105.5,40.0],[-105.0,40.0],[-105.0,40.5],[-105.5,40.0]],"
        "[[-105.3,40.1],[-105.2,40.1],[-105.2,40.2],[-105.3,40.1]]]}"
    ),
    "is_closing": 0,
    "record_key": "urn:oid:2.49.0.1.840.0.made.1",
    "accepted_at": datetime(2026, 11, 21, 15, 0, 4),
    "writer": 1,
    "seq": 9,
    "is_simulated": 0,
}


def alert(name: str, *, origin: Origin = ORIGIN, extra: Any = None, **changes: Any) -> bytes:
    """One alert in a format, with some of its values changed."""
    layout = tuple(one.name for one in ALERTS.properties)
    values = {**dict.fromkeys(layout), **ALERT, **changes}
    links = ({"href": "http://h/collections/nws_alerts/items", "rel": "self", "type": "x/y"},)
    made = Document(
        ALERTS, layout, origin, AT, links=links, is_item=name == "cap", extra=extra or {}
    )
    return encoded(form(name), made, [tuple(values[column] for column in layout)])
