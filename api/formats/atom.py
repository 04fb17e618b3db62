"""Alerts as an Atom feed (RFC 4287), for feed readers and for those who watch for changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element

from api.catalog.model import Collection
from api.formats.jsons import id_maker
from api.formats.model import Document, Row, instant_text
from api.formats.xml import child, document, optional

NAMESPACE = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
COLUMNS = frozenset(("alert_id", "event", "sent_at"))
SIMULATED = "[SIMULATED] "
_NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 - instants of rows are UTC without a zone


def has_feed(collection: Collection) -> bool:
    """Whether items of a collection are about alerts."""
    return collection.by_name.keys() >= COLUMNS


class AtomEncoder:
    """Encodes a page: entries in the order of the rows. What is held is the page."""

    def __init__(self, around: Document) -> None:
        self._around = around
        self._id = id_maker(around.collection, around.layout)
        self._mark = SIMULATED if around.origin.is_simulated else ""
        self._entries: list[tuple[str, Mapping[str, Any]]] = []

    def begin(self) -> bytes:
        """Return nothing: a feed begins with when it was updated, which its entries say."""
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Keep the rows."""
        layout = self._around.layout
        self._entries += [(self._id(row), dict(zip(layout, row, strict=True))) for row in rows]
        return b""

    def end(self) -> bytes:
        """Return the feed."""
        around, collection = self._around, self._around.collection
        root = Element("feed", {"xmlns": NAMESPACE})
        child(root, "id", around.url.partition("?")[0] or f"urn:emdata:{collection.id}")
        child(root, "title", self._mark + collection.title)
        newest = max((_updated(values) for _, values in self._entries), default=None)
        child(
            root, "updated", instant_text(newest or around.origin.newest_accepted_at or around.at)
        )
        child(child(root, "author"), "name", "Emergency data platform")
        child(root, "rights", collection.terms)
        for one in around.links:
            if one["rel"] in ("self", "next", "alternate"):
                child(root, "link", rel=one["rel"], href=str(one["href"]), type=str(one["type"]))
        for key, values in self._entries:
            self._entry(root, key, values)
        return document(root)

    def _entry(self, root: Element, key: str, values: Mapping[str, Any]) -> None:
        entry = child(root, "entry")
        base = self._around.url.partition("?")[0]
        href = f"{base}/{quote(key, safe='')}" if base else ""
        child(entry, "id", f"urn:emdata:{self._around.collection.id}:{quote(key, safe='')}")
        child(
            entry, "title", self._mark + str(values.get("headline") or values["event"] or "Alert")
        )
        child(entry, "updated", instant_text(_updated(values)))
        child(entry, "published", instant_text(values["sent_at"] or _NEVER))
        if href:
            child(entry, "link", rel="alternate", href=href, type="application/geo+json")
        for name in ("severity", "urgency", "certainty"):
            if values.get(name):
                child(entry, "category", term=str(values[name]), scheme=f"urn:emdata:cap:{name}")
        optional(entry, "summary", _summary(values))
        author = values.get("sender_name")
        if author:
            child(child(entry, "author"), "name", str(author))


def _updated(values: Mapping[str, Any]) -> datetime:
    """A message never changes: it is as new as it was sent."""
    sent: datetime | None = values.get("sent_at")
    return sent or _NEVER


def _summary(values: Mapping[str, Any]) -> str:
    """What happens where, in words; markup of the source stays text."""
    parts = [values.get(name) for name in ("area_description", "description", "instruction")]
    return "\n\n".join(str(part) for part in parts if part)
