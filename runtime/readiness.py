"""Waits until a started server does its work, and says why when it does not."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from emdata.errors import ServiceError
from runtime.services.base import NotReady, Service
from runtime.supervisor import Supervisor

_PAUSE_S = 0.2
_LOOKS_PER_QUESTION = 5  # the supervisor is asked once a second; it shares the cores
_CRASHES = 3


def wait_ready(service: Service, supervisor: Supervisor, log: Path) -> str:
    """Probe until ready; returns the probe's text.

    Raises ServiceError with the reason and the last log lines when ``start_within`` has passed or
    the process died three times.
    """
    deadline = time.monotonic() + service.start_within
    starts: set[int] = set()
    reason = "not probed"
    look = 0
    while True:
        try:
            return service.probe()
        except NotReady as error:
            reason = str(error)
        if look % _LOOKS_PER_QUESTION == 0:
            state = supervisor.states()[service.name]
            starts |= {state.started} if state.started else set()
            if len(starts) >= _CRASHES or state.state == "FATAL":
                raise ServiceError(f"{service.name}: dies after its start{last_lines(log)}")
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{service.name}: not ready within {service.start_within:.0f} s ({reason})"
                f"{last_lines(log)}"
            )
        look += 1
        time.sleep(_PAUSE_S)


def last_lines(log: Path, count: int = 5) -> str:
    """The last lines of a log, for a message."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            lines = deque(file, maxlen=count)
    except OSError:
        return f"; no log at {log}"
    shown = "".join(f"\n    {line.rstrip()[:300]}" for line in lines)
    return f"; last lines of {log}:{shown}"
