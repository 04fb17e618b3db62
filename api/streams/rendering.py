"""Entries as server-sent events (WHATWG HTML, 9.2) and as WebSocket messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from api.catalog.model import Collection
from api.formats.features import feature
from api.formats.model import instant_text
from api.streams.ring import Entry

_ENCODER = msgspec.json.Encoder()
RETRY_MS = 3_000


class Renderer:
    """Features of one collection as one caller sees it; made once for all who see the same.

    shown: the properties that were asked for, None for all.
    """

    def __init__(self, collection: Collection, shown: tuple[str, ...] | None = None) -> None:
        self._collection = collection
        self._columns = tuple(one.name for one in collection.properties)
        self._shown = tuple(name for name in self._columns if shown is None or name in shown)
        self._view = (self._columns, self._shown)
        known = collection.by_name
        self._instants = tuple(name for name in self._shown if known[name].type == "date-time")

    def feature(self, entry: Entry) -> bytes:
        """Return an entry as a GeoJSON feature."""
        known = entry.rendered.get(self._view)
        if known is None:
            known = _ENCODER.encode(self._feature(entry.values))
            entry.rendered[self._view] = known
        return known

    def event(self, entry: Entry) -> bytes:
        """Return an entry as an event named ``item``."""
        return b"id: %b\nevent: item\ndata: %b\n\n" % (
            str(entry.position).encode(),
            self.feature(entry),
        )

    def message(self, entry: Entry) -> str:
        """Return an entry as a WebSocket message."""
        position = str(entry.position).encode()
        return (b'{"event":"item","id":"%b","data":%b}' % (position, self.feature(entry))).decode()

    def _feature(self, values: dict[str, Any]) -> dict[str, Any]:
        seen = {name: values.get(name) for name in self._columns}
        made = feature(self._collection, seen, self._shown)
        properties = made["properties"]
        for name in self._instants:
            if properties[name] is not None:
                properties[name] = instant_text(datetime.fromisoformat(properties[name]))
        return made


def event(name: str, data: dict[str, Any], position: str = "") -> bytes:
    """Return an event of our own, with the place to resume from where there is one."""
    first = f"id: {position}\n".encode() if position else b""
    return b"%bevent: %b\ndata: %b\n\n" % (first, name.encode(), _ENCODER.encode(data))


def message(name: str, data: dict[str, Any], position: str = "") -> str:
    """As ``event``, for a WebSocket."""
    return _ENCODER.encode({"event": name, "id": position or None, "data": data}).decode()
