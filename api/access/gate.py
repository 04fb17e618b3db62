"""The gate, a layer around every route: who asks, and nothing unaudited goes out.

An answer that lasts (a stream, an export) ends when its caller may no longer have it: what is sent
is a moment to ask again, every CHECK_SECONDS, and streams send heartbeats.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.access import Access
from api.access.caller import Caller, anonymous
from api.problems import Problem
from emdata.errors import StateUnavailable
from emdata.objects import redact
from emdata.state.audit_chain import Entry
from emdata.telemetry import get_logger

OPEN = frozenset({"/health", "/ready", "/metrics"})
"""Answered without asking who asks: probes need an answer while PostgreSQL is away."""
CHECK_SECONDS = 20.0
_BEGINNINGS = frozenset({"http.response.start", "websocket.accept"})
_LONGEST_QUERY = 1000
log = get_logger(__name__)


class Gate:
    """Sets ``scope["state"]["caller"]``; refuses what it cannot identify."""

    def __init__(self, app: ASGIApp, access: Access, *, is_every_request_audited: bool) -> None:
        self._app, self._access = app, access
        self._audits_all = is_every_request_audited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify, then go on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if scope["path"] in OPEN:
            state["caller"] = anonymous()
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._access.identity.caller(scope)
        except Problem as problem:
            if self._audits_all and problem.kind == "unauthorized":
                self._access.audit.refused("credentials")
            await refuse(problem, scope, receive, send)
            return
        except StateUnavailable:
            await refuse(_unknown(), scope, receive, send)
            return
        state["caller"] = caller
        await self._watched(caller, scope, receive, send)

    async def _watched(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        outlet = _Outlet(self._access, caller, scope, send, is_every_one=self._audits_all)
        try:
            await self._app(scope, receive, outlet.send)
        except Exception:
            # The route was stopped on purpose; whatever it made of that is no error.
            if not (outlet.is_withheld or outlet.is_over):
                raise
        if outlet.is_withheld:
            await refuse(_unaudited(), scope, receive, send)
        elif outlet.is_over and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no longer allowed"})


class _Stopped(Exception):
    """Stops a route whose answer may not go out, or not go on."""


class _Outlet:
    """Lets an answer begin once what it reads is in the audit log, and go on while it may."""

    def __init__(
        self, access: Access, caller: Caller, scope: Scope, send: Send, *, is_every_one: bool
    ) -> None:
        self._access, self._caller, self._scope = access, caller, scope
        self._send, self._is_every_one = send, is_every_one
        self._checked = access.clock.monotonic()
        self.is_withheld = self.is_over = False

    async def send(self, message: Message) -> None:
        """Send a message; raises to stop the route."""
        if message["type"] in _BEGINNINGS and not self._caller.is_anonymous:
            await self._audit(int(message.get("status", 101)))
        elif self._access.clock.monotonic() - self._checked >= CHECK_SECONDS:
            await self._check()
        if not (self.is_withheld or self.is_over):
            await self._send(message)

    async def _audit(self, status: int) -> None:
        entry = self._entry(status)
        if entry is None:
            return
        try:
            await self._access.audit.note(entry)
        except StateUnavailable:
            self.is_withheld = True
            raise _Stopped from None

    async def _check(self) -> None:
        try:
            self.is_over = not await self._access.identity.is_still(self._caller)
        except StateUnavailable:
            self.is_over = True
        self._checked = self._access.clock.monotonic()
        if self.is_over:
            log.info("answer_ended", caller=self._caller.actor, path=self._scope["path"][:200])
            raise _Stopped

    def _entry(self, status: int) -> Entry | None:
        reads = sorted(set(self._caller.reads)) if status < 400 else []
        if not reads and not self._is_every_one:
            return None
        query = unquote(self._scope.get("query_string", b"").decode("latin-1"))
        details = {
            "method": self._scope.get("method", "WEBSOCKET"),
            "path": self._scope["path"][:_LONGEST_QUERY],
            "query": redact(query)[:_LONGEST_QUERY],
            "status": status,
        }
        if reads:
            return Entry(self._caller.actor, "data.read", ", ".join(reads), details)
        return Entry(self._caller.actor, "request", self._scope["path"], details)


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem; a WebSocket that was not accepted gets it as its HTTP answer."""
    if scope["type"] == "http":
        await problem.response()(scope, receive, send)
        return
    await receive()  # websocket.connect
    if "websocket.http.response" in scope.get("extensions", {}):
        response = problem.response()
        start = {"type": "websocket.http.response.start", "status": response.status_code}
        await send({**start, "headers": response.raw_headers})
        await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
    else:
        await send({"type": "websocket.close", "code": 1008})


def _unknown() -> Problem:
    detail = "who asks cannot be checked at the moment; ask again in some seconds"
    return Problem("unavailable", detail, headers={"Retry-After": "5"})


def _unaudited() -> Problem:
    detail = "this needs an entry in the audit log, which does not answer at the moment"
    return Problem("unavailable", detail, headers={"Retry-After": "5"})
