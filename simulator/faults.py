"""Faults on request: what a source does to its clients on a bad day."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from simulator.answers import Answer
from simulator.instants import iso_utc, read_iso

FaultKind = Literal[
    "429", "500", "503", "html200", "slow", "cut_off", "huge", "hang", "empty", "malformed_row",
    "drift",
]  # fmt: skip
_STATUS = {"429": "Too Many Requests", "500": "Unexpected Problem", "503": "Service Unavailable"}
_STUB = b"<!DOCTYPE html><html><head><title>Access</title></head><body>Please wait.</body></html>"


class FaultRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /_simulator/faults``.

    host or path_prefix (``/<HOST>/<path>``) choose the requests; neither: all of them.
    retry_after is sent verbatim as a header with 429 and 503. count: answers to spoil; until: an
    instant of real time (ISO, UTC) after which the fault is over; neither: until it is deleted.
    seconds: how long ``hang`` holds and over how long ``slow`` spreads an answer.
    size: bytes that ``huge`` sends at most.
    """

    kind: FaultKind
    host: str = ""
    path_prefix: str = ""
    retry_after: str | int | None = None
    count: int | None = None
    until: str | None = None
    seconds: float = 30.0
    size: int = 2 * 1024**3


class Fault(msgspec.Struct, kw_only=True):
    """A fault in force, with how often it has struck."""

    id: int
    request: FaultRequest
    until: float | None
    struck: int = 0

    def matches(self, path: str, now: float) -> bool:
        """Tell whether the fault spoils a request for ``/<HOST>/<path>`` at real time ``now``."""
        asked = self.request
        if asked.count is not None and self.struck >= asked.count:
            return False
        if self.until is not None and now >= self.until:
            return False
        if asked.host and not path.startswith(f"/{asked.host}/"):
            return False
        return path.startswith(asked.path_prefix)

    def describe(self) -> dict[str, Any]:
        """Return what ``GET /_simulator/faults`` shows."""
        shown: dict[str, Any] = msgspec.to_builtins(self.request)
        return {**shown, "id": self.id, "struck": self.struck}


class Faults:
    """The faults in force, in the order in which they were set. They end with the process."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next = 1

    def add(self, body: bytes) -> Fault:
        """Put a fault in force. Raises ValueError that says what is allowed."""
        try:
            request = msgspec.json.decode(body, type=FaultRequest)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if request.count is not None and request.count < 1:
            raise ValueError(f"count {request.count}: 1 or more")
        until = None if request.until is None else read_iso(request.until)
        fault = Fault(id=self._next, request=request, until=until)
        self._faults[fault.id] = fault
        self._next += 1
        return fault

    def strike(self, path: str, now: float) -> FaultRequest | None:
        """Return the first fault that spoils this request, counting it, or None."""
        for fault in self._faults.values():
            if fault.matches(path, now):
                fault.struck += 1
                return fault.request
        return None

    def remove(self, number: int | None = None) -> int:
        """Lift one fault, or all; returns how many."""
        gone = [n for n in self._faults if number is None or n == number]
        for n in gone:
            del self._faults[n]
        return len(gone)

    def describe(self) -> list[dict[str, Any]]:
        """Return all faults in force or used up."""
        return [fault.describe() for fault in self._faults.values()]


def failure(fault: FaultRequest, now: float) -> Answer | None:
    """Return the answer that replaces the source's own, or None for a fault of another sort."""
    if fault.kind == "html200":
        return Answer(_STUB, "text/html; charset=utf-8")
    if fault.kind == "empty":
        return Answer(b"", "application/json")
    if fault.kind not in _STATUS:
        return None
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    body = {
        "type": "about:blank", "title": _STATUS[fault.kind], "status": int(fault.kind),
        "detail": "A fault that was asked for.", "at": iso_utc(now),
    }  # fmt: skip
    return Answer(msgspec.json.encode(body), "application/problem+json", int(fault.kind), headers)
