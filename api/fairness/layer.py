"""ASGI layers: refuse early who is known to have nothing left; decide on everybody else."""

from __future__ import annotations

import math

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.access.caller import Caller, anonymous
from api.access.gate import refuse
from api.fairness.budget import Budget, Decision
from api.fairness.fairness import Fairness
from api.fairness.headers import limit_headers
from api.fairness.slots import Crowded, Slot
from api.problems import Problem

FREE = ("/health", "/ready", "/assets/", "/favicon.ico")
"""Paths that cost no token: probes, and the files of the front page."""
STREAMED = b"text/event-stream"


class EarlyRefusal:
    """Answers floods before identity, routing and everything else that costs.

    A plain GET does not come so far: ``api.serving.refuser`` answers it at the door.
    """

    def __init__(self, app: ASGIApp, fairness: Fairness) -> None:
        self._app, self._fairness = app, fairness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] == "http":
            now = self._fairness.clock.monotonic()
            refusal = self._fairness.refusals.find(scope, now)
            if refusal is not None and not _is_free(scope["path"]):
                metrics.REFUSED.labels("early").inc()
                scope.setdefault("state", {})["caller"] = refusal.caller
                await refusal.problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class FairnessLayer:
    """Takes a token and a slot for every request of an identified caller."""

    def __init__(self, app: ASGIApp, fairness: Fairness) -> None:
        self._app, self._fairness = app, fairness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or _is_free(scope["path"]):
            await self._app(scope, receive, send)
            return
        caller: Caller = scope.get("state", {}).get("caller") or anonymous()
        payer = self._fairness.payer(caller, scope)
        decision = await self._fairness.limiter.take(payer, Budget.of(caller.policy))
        if not decision.is_allowed:
            problem = _too_many(caller, decision)
            self._refuse_next(scope, problem, caller, decision)
            await refuse(problem, scope, receive, send)
        elif kind == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._in_a_slot(scope, receive, send, (caller, payer, decision))

    async def _in_a_slot(
        self, scope: Scope, receive: Receive, send: Send, paid: tuple[Caller, str, Decision]
    ) -> None:
        caller, payer, decision = paid
        policy = caller.policy
        try:
            slot = await self._fairness.slots.enter(payer, policy.concurrent, policy.priority)
        except Crowded as error:
            await _crowded(caller, error).response()(scope, receive, send)
            return
        headers = limit_headers(policy, decision)
        try:
            await self._app(scope, receive, _Told(send, slot, headers))
        finally:
            slot.leave()

    def _refuse_next(
        self, scope: Scope, problem: Problem, caller: Caller, decision: Decision
    ) -> None:
        metrics.REFUSED.labels(decision.limit).inc()
        if scope["type"] == "http":
            now = self._fairness.clock.monotonic()
            self._fairness.refusals.add(scope, problem, caller, now, decision.seconds)


class _Told:
    """Sends an answer with its limits, and frees the slots that it no longer needs."""

    __slots__ = ("_headers", "_send", "_slot")

    def __init__(self, send: Send, slot: Slot, headers: list[tuple[bytes, bytes]]) -> None:
        self._send, self._slot, self._headers = send, slot, headers

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", ())
            message = {**message, "headers": [*given, *self._headers]}
            self._slot.answered()
            for name, value in given:
                if name == b"content-type" and STREAMED in value:
                    self._slot.leave()
        await self._send(message)


def _too_many(caller: Caller, decision: Decision) -> Problem:
    policy, seconds = caller.policy, max(1, math.ceil(decision.seconds))
    if decision.limit == "day":
        which = f"{policy.requests_per_day} requests a UTC day"
    else:
        which = f"{policy.requests_per_minute} requests a minute, {policy.burst} at once"
    whose = "your network" if caller.is_anonymous else f"organization {caller.organization}"
    detail = f"the limit of {whose} is {which}; ask again in {seconds} s"
    if caller.is_anonymous:
        detail += ", or with a key, which has limits of its own"
    state = {name.decode(): value.decode() for name, value in limit_headers(policy, decision)}
    headers = {"Retry-After": str(seconds), **state}
    return Problem(
        "too-many-requests", detail, headers=headers, limit=decision.limit, retryAfter=seconds
    )


def _crowded(caller: Caller, error: Crowded) -> Problem:
    metrics.REFUSED.labels("concurrent" if error.is_own else "busy").inc()
    headers = {"Retry-After": "1"}
    if not error.is_own:
        detail = "too many requests are worked on at the moment; ask again in some seconds"
        return Problem("unavailable", detail, headers=headers)
    count = caller.policy.concurrent
    detail = f"{count} requests at once are allowed, and as many may wait; wait for your own"
    return Problem("too-many-requests", detail, headers=headers, limit="concurrent", retryAfter=1)


def _is_free(path: str) -> bool:
    return path.startswith(FREE)
