"""Callers that are known to have nothing left: refused before anybody asks who they are."""

from __future__ import annotations

import hashlib
import secrets

from starlette.types import Scope

from api.problems import Problem

KEPT = 10_000
LONGEST_SECONDS = 1.0
"""After that a refused caller is identified again, so that a changed policy is noticed."""
_SAYS_WHO = frozenset({b"authorization", b"x-api-key", b"x-forwarded-for", b"cookie"})


class Refusals:
    """Refusals by what a request shows of its sender; only a keyed hash of that is kept."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._until: dict[bytes, tuple[float, Problem]] = {}

    def find(self, scope: Scope, now: float) -> Problem | None:
        """Return the refusal that still holds for a request's sender."""
        if not self._until:
            return None
        sender = self._sender(scope)
        known = self._until.get(sender)
        if known is None:
            return None
        if now < known[0]:
            return known[1]
        del self._until[sender]
        return None

    def add(self, scope: Scope, problem: Problem, now: float, seconds: float) -> None:
        """Refuse the sender's next requests for some seconds."""
        if len(self._until) >= KEPT:
            self._until = {key: one for key, one in self._until.items() if one[0] > now}
            if len(self._until) >= KEPT:
                return
        self._until[self._sender(scope)] = (now + min(seconds, LONGEST_SECONDS), problem)

    def _sender(self, scope: Scope) -> bytes:
        made = hashlib.blake2b(key=self._secret, digest_size=16)
        client = scope.get("client")
        made.update(str(client[0] if client else "").encode())
        for name, value in scope["headers"]:
            if name in _SAYS_WHO:
                made.update(b"\0" + name + b"\0" + value)
        return made.digest()
