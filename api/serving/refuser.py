"""Who is known to have nothing left is refused at the door: no task, no layers, a ready answer.

A flood is what costs most where it is refused last. Here a refusal costs a tenth of an answer, so
that it takes little from those who are served beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Scope

from api import metrics
from api.access.headers import always_sent, is_shared, secured
from api.fairness.layer import FREE

if TYPE_CHECKING:
    from api.fairness.fairness import Fairness
    from api.fairness.refusals import Refusal

REFUSER = "refuser"
"""Name of the Refuser in the state that the application's lifespan yields."""
CountRefused = Callable[[str, int, float], None]
"""Counts a refusal: organization, bytes of its body, seconds."""
_FREE = tuple(path.encode() for path in FREE)
# A body has to be read, and an upgrade or an expectation answered in its own way.
_NOT_PLAIN = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"expect"})


class Refuser:
    """Ready answers to senders whose refusal still holds.

    They are counted like every answer, and not written to the access log: the answer that the
    refusal began with is.
    """

    def __init__(self, fairness: Fairness, count: CountRefused, *, is_https: bool) -> None:
        self._refusals, self._clock = fairness.refusals, fairness.clock
        self._count, self._always = count, always_sent(is_https=is_https)
        self._refused = metrics.REFUSED.labels("early").inc

    def answer(self, scope: Scope, url: bytes) -> Refusal | None:
        """Return the refusal of a GET's sender with its ``head`` and ``body``, or None.

        scope: with ``client`` and ``headers``; the rest need not be there yet.
        """
        begun = perf_counter()
        refusal = self._refusals.find(scope, self._clock.monotonic())
        if refusal is None or url.startswith(_FREE):
            return None
        names = {name for name, _ in scope["headers"]}
        if not names.isdisjoint(_NOT_PLAIN):
            return None
        if not refusal.head:
            answer = refusal.problem.response()
            shared = is_shared("GET", names)
            headers = secured(answer.raw_headers, self._always, shared=shared)
            refusal.head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            refusal.body = bytes(answer.body)
        self._refused()
        self._count(refusal.caller.organization, len(refusal.body), perf_counter() - begun)
        return refusal
