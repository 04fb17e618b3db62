"""Links in answers: absolute, and beginning with what the operator says they begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request

from emdata.settings import Settings


def base_url(request: Request, settings: Settings) -> str:
    """Return what every link begins with, without a slash at its end."""
    return settings.api_public_url.rstrip("/") or str(request.base_url).rstrip("/")


def link(href: str, rel: str, kind: str = "application/json", title: str = "") -> dict[str, Any]:
    """Return a link as OGC API writes it."""
    made = {"href": href, "rel": rel, "type": kind}
    return {**made, "title": title} if title else made


def with_parameters(href: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    """Return an address with query parameters."""
    return f"{href}?{urlencode(parameters)}" if parameters else href


def item_path(collection: str, key: str) -> str:
    """Return the path of an item; its key may hold any character."""
    return f"/collections/{collection}/items/{quote(key, safe='')}"
