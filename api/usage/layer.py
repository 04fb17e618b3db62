"""The outermost layer: every request is counted, timed and logged once, when its answer ends."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from time import perf_counter
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.access.caller import ANONYMOUS, Caller
from api.fairness.networks import Networks
from api.usage.access_log import AccessLog
from api.usage.ledger import Counts, Kind, Ledger, minute_of
from api.usage.notes import notes_of
from emdata.clock import Clock

UNCOUNTED = ("/health", "/ready")
"""Probes of our own: in the metrics, not in the usage and not in the log."""
NONE, OTHER = "none", "other"
UNMATCHED, REFUSED = "unmatched", "refused"
REFUSED_BEFORE = frozenset({401, 403, 408, 413, 429, 503})
"""What layers answer before a route is found."""
TOO_MANY = 429
LENGTH = 128
STATUS_CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
FORMATS = {
    "application/geo+json": "geojson",
    "application/json": "json",
    "application/problem+json": "problem",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/geo+json-seq": "geojsonseq",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/cap+xml": "cap",
    "application/atom+xml": "atom",
    "text/event-stream": "sse",
    "text/html": "html",
    "application/gzip": "gzip",
    "application/schema+json": "json",
    "application/vnd.oai.openapi+json;version=3.1": "openapi",
    "image/svg+xml": "svg",
}


class UsageLayer:
    """Counts requests into a ledger and the metrics, and writes the access log if there is one."""

    def __init__(
        self,
        app: ASGIApp,
        ledger: Ledger,
        networks: Networks,
        clock: Clock,
        access_log: AccessLog | None = None,
    ) -> None:
        self._app, self._ledger, self._networks = app, ledger, networks
        self._clock, self._access_log = clock, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        notes_of(scope)
        begun = perf_counter()
        seen = _Seen(send, 101 if scope["type"] == "websocket" else 500)
        try:
            await self._app(scope, receive, seen)
        finally:
            self._count(scope, seen, perf_counter() - begun)

    def _count(self, scope: Scope, seen: _Seen, seconds: float) -> None:
        notes, route = notes_of(scope), _route(scope, seen.status)
        method, status_class = _method(scope), STATUS_CLASSES[seen.status // 100]
        collection = notes.collection or _collection(scope, seen.status)
        requests, duration, size = _of_kind(route, method, seen.status)
        requests.inc()
        duration.observe(seconds)
        size.inc(seen.bytes)
        if notes.rows:
            metrics.ROWS.labels(collection).inc(notes.rows)
        if scope["path"] in UNCOUNTED:
            return
        caller: Caller | None = scope["state"].get("caller")
        organization = ANONYMOUS if caller is None else caller.organization[:LENGTH]
        kind = notes.format or seen.format
        now = self._clock.now()
        self._ledger.add(
            Kind(minute_of(now), organization, collection, kind, status_class, route),
            Counts(1, notes.rows, seen.bytes, seconds, seconds),
        )
        if self._access_log is not None:
            self._access_log.add(
                now,
                method=method,
                route=route,
                status=seen.status,
                organization=organization,
                key=None if caller is None else caller.key_id,
                collection=collection,
                format=kind,
                rows=notes.rows,
                bytes=seen.bytes,
                ms=round(1000 * seconds, 3),
                client=self._networks.name(scope),
            )


class RefusedCount:
    """Counts what is refused at the door, where there is neither a route nor an application."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._requests, self._duration, self._size = _of_kind(REFUSED, "GET", TOO_MANY)

    def __call__(self, organization: str, size: int, seconds: float) -> None:
        """Count one; ``size``: bytes of the body."""
        self._requests.inc()
        self._duration.observe(seconds)
        self._size.inc(size)
        minute, status_class = minute_of(self._clock.now()), STATUS_CLASSES[TOO_MANY // 100]
        self._ledger.add(
            Kind(minute, organization[:LENGTH], NONE, "problem", status_class, REFUSED),
            Counts(1, 0, size, seconds, seconds),
        )


class _Seen:
    """Passes an answer on and remembers its status, media type and size."""

    __slots__ = ("_send", "bytes", "format", "status")

    def __init__(self, send: Send, status: int) -> None:
        self._send, self.status, self.bytes, self.format = send, status, 0, NONE

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            self.format = _format(message.get("headers", ()))
        elif kind in ("http.response.body", "websocket.http.response.body"):
            self.bytes += len(message.get("body", b""))
        elif kind == "websocket.send":
            text = message.get("text")
            data = message.get("bytes") or b""
            self.bytes += len(data) if text is None else len(text.encode())
        await self._send(message)


@cache
def _of_kind(route: str, method: str, status: int) -> tuple[Counter, Histogram, Counter]:
    """Return the metrics of requests that are alike; looking them up by labels takes longer."""
    return (
        metrics.REQUESTS.labels(route, method, str(status)),
        metrics.SECONDS.labels(route, STATUS_CLASSES[status // 100]),
        metrics.BYTES.labels(route),
    )


def _format(headers: Any) -> str:
    for name, value in headers:
        if name == b"content-type":
            media_type = value.decode("latin-1").partition(";")[0].strip().lower()
            return FORMATS.get(media_type, OTHER)
    return NONE


def _route(scope: Scope, status: int) -> str:
    """Return the template of the route; a path that matches none is a caller's text."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return REFUSED if status in REFUSED_BEFORE else UNMATCHED
    return str(path)[:LENGTH]


def _collection(scope: Scope, status: int) -> str:
    """Return the collection that the path names; what is not there has a name of a caller's."""
    parameters: Mapping[str, Any] = scope.get("path_params") or {}
    name = parameters.get("collection_id")
    known = name is not None and status not in (401, 403, 404, 429) and status < 500
    return str(name)[:LENGTH] if known else NONE


def _method(scope: Scope) -> str:
    method = scope.get("method", "GET")
    return method if method in METHODS else "OTHER"
