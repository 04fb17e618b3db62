"""What a route says about its answer, for usage, metrics and the access log."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import HTTPConnection

STATE = "usage"


class Notes:
    """Notes of one request."""

    __slots__ = ("collection", "format", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.collection = self.format = ""


def note(request: HTTPConnection, *, rows: int = 0, collection: str = "", format: str = "") -> None:
    """Say what an answer holds; ``rows`` add up, so that a stream may say them as they go.

    collection: where the path does not name it. format: where the media type does not.
    """
    notes = notes_of(request.scope)
    notes.rows += rows
    notes.collection = collection or notes.collection
    notes.format = format or notes.format


def notes_of(scope: MutableMapping[str, Any]) -> Notes:
    """Return the notes of a request."""
    state: dict[str, Any] = scope.setdefault("state", {})
    notes: Notes | None = state.get(STATE)
    if notes is None:
        notes = state[STATE] = Notes()
    return notes
