"""The innermost layer but the routes: answers that went out before go out again as they are.

It stands behind identity and limits, before compression and routing, which are most of what a kept
answer costs. A route marks what may be kept (``Answers.get``); an answer whose reading is audited
is never marked.
"""

from __future__ import annotations

from collections.abc import Hashable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.access.caller import Caller
from api.caching.answers import PLACE, Answers, Mark, is_known, not_changed
from api.caching.store import Kept
from api.usage.notes import notes_of

# What an answer depends on beside its address and its caller.
_HEADERS = frozenset({b"accept", b"accept-encoding", b"host"})
# With these the route decides.
_UNUSUAL = frozenset({b"range", b"if-range", b"if-match", b"if-modified-since"})
_IF_NONE_MATCH = b"if-none-match"


class EarlyAnswers:
    """Sends kept answers, and keeps those that are marked."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app, self._answers = app, answers
        self._count = metrics.CACHE.labels("early").inc
        self._count_known = metrics.CACHE.labels("known").inc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        key, condition = _key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        kept = self._answers.store.peek(key)
        if kept is not None:
            version = self._answers.versions.of(kept.collection)
            if version is not None and version.token == kept.token:
                self._answers.store.get(key, kept.token)
                await self._send(kept, condition, scope, send)
                return
        outgoing = _Outgoing(send)
        await self._app(scope, receive, outgoing)
        mark: Mark | None = scope["state"].get(PLACE)
        if mark is not None and outgoing.is_whole and outgoing.status == 200:
            self._answers.store.put(key, _kept(mark, outgoing, scope))

    async def _send(self, kept: Kept, condition: bytes, scope: Scope, send: Send) -> None:
        scope["route"], scope["path_params"] = kept.route, kept.path_params
        notes = notes_of(scope)
        if condition and is_known(condition.decode("latin-1"), kept.etag.decode()):
            self._count_known()
            status, headers, body = 304, not_changed(kept), b""
        else:
            self._count()
            notes.rows, notes.format = kept.rows, kept.format
            status, headers, body = kept.status, list(kept.headers), kept.body
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _key(scope: Scope) -> tuple[Hashable, bytes]:
    """What an answer depends on, and If-None-Match; the key is None for what is unusual."""
    caller: Caller | None = scope["state"].get("caller")
    if caller is None:
        return None, b""
    condition = b""
    parts: list[object] = [
        scope["scheme"],
        scope.get("raw_path") or scope["path"],
        scope["query_string"],
    ]
    for name, value in scope["headers"]:
        if name in _HEADERS:
            parts.append((name, value))
        elif name == _IF_NONE_MATCH:
            condition = value
        elif name in _UNUSUAL:
            return None, b""
    if caller.is_anonymous:
        parts += (caller.policy, caller.hidden)
    else:
        parts += (
            caller.organization,
            caller.policy,
            caller.scopes,
            caller.tenants,
            caller.hidden,
            caller.owned,
        )
    return tuple(parts), condition


def _kept(mark: Mark, outgoing: _Outgoing, scope: Scope) -> Kept:
    notes = notes_of(scope)
    return Kept(
        token=mark.token,
        etag=mark.etag,
        status=outgoing.status,
        headers=outgoing.headers,
        body=b"".join(outgoing.parts),
        route=scope.get("route"),
        path_params=scope.get("path_params"),
        collection=mark.collection,
        rows=notes.rows,
        format=notes.format,
    )


class _Outgoing:
    """Passes an answer on, and remembers it if it is of one piece."""

    __slots__ = ("_send", "headers", "is_whole", "parts", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status, self.is_whole = 0, False
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            # A stream is never held: only an answer that comes at once is kept.
            if not message.get("more_body"):
                if not self.parts:
                    self.is_whole = True
                    self.parts.append(message.get("body", b""))
                else:
                    self.is_whole = False
            else:
                self.parts = [b""]
        await self._send(message)
