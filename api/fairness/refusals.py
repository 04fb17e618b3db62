"""Callers that are known to have nothing left: refused before anybody asks who they are."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from starlette.types import Scope

from api.access.caller import Caller
from api.problems import Problem

KEPT = 10_000
LONGEST_SECONDS = 1.0
"""After that a refused caller is identified again, so that a changed policy is noticed."""
_SAYS_WHO = frozenset({b"authorization", b"x-api-key", b"x-forwarded-for", b"cookie"})


@dataclass(slots=True)
class Refusal:
    """A refusal that holds until an instant of the monotonic clock.

    head, body: the answer as it is sent, made by who first sends it.
    """

    until: float
    problem: Problem
    caller: Caller
    head: bytes = b""
    body: bytes = b""


class Refusals:
    """Refusals by what a request shows of its sender; only a keyed hash of that is kept."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, Refusal] = {}

    def find(self, scope: Scope, now: float) -> Refusal | None:
        """Return the refusal that still holds for a request's sender."""
        if not self._known:
            return None
        sender = self._sender(scope)
        known = self._known.get(sender)
        if known is None or now < known.until:
            return known
        del self._known[sender]
        return None

    def add(
        self, scope: Scope, problem: Problem, caller: Caller, now: float, seconds: float
    ) -> None:
        """Refuse the sender's next requests for some seconds."""
        if len(self._known) >= KEPT:
            self._known = {key: one for key, one in self._known.items() if one.until > now}
            if len(self._known) >= KEPT:
                return
        until = now + min(seconds, LONGEST_SECONDS)
        self._known[self._sender(scope)] = Refusal(until, problem, caller)

    def _sender(self, scope: Scope) -> bytes:
        made = hashlib.blake2b(key=self._secret, digest_size=16)
        client = scope.get("client")
        made.update(str(client[0] if client else "").encode())
        for name, value in scope["headers"]:
            if name in _SAYS_WHO:
                made.update(b"\0" + name + b"\0" + value)
        return made.digest()
