"""Runs that cannot go now, by reason, so that they hold up nobody else.

A topic that is gone, or a segment that cannot be read, concerns its own records only: they wait
here, in order, and are queued again after a while.
"""

from __future__ import annotations

from collections.abc import Iterable

from emdata.clock import Clock, Monotonic
from stream_manager.buffer import Run, in_log_order

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0


class Parked:
    """Belongs to the delivery thread. Waits are in seconds and double until a reason is freed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, list[Run]] = {}
        self._due: dict[str, float] = {}
        self._wait: dict[str, float] = {}

    def __len__(self) -> int:
        return sum(len(run) for runs in self._runs.values() for run in runs)

    def holds(self, reason: str) -> bool:
        """Whether runs wait for this reason, so that later ones must wait behind them."""
        return reason in self._runs

    def add(self, reason: str, runs: Iterable[Run]) -> None:
        """Let runs wait; their bytes are given up, for they are in the buffer."""
        if reason not in self._runs:
            wait = self._wait.get(reason, FIRST_WAIT)
            self._wait[reason] = min(wait * 2, LONGEST_WAIT)
            self._due[reason] = self._clock.monotonic() + wait
        held = self._runs.setdefault(reason, [])
        for run in runs:
            run.block = None
            held.append(run)

    def take_due(self) -> list[Run]:
        """Return the runs whose time has come, in log order."""
        now: Monotonic = self._clock.monotonic()
        due = [reason for reason, at in self._due.items() if at <= now]
        taken = [run for reason in due for run in self._runs.pop(reason)]
        for reason in due:
            del self._due[reason]
        return in_log_order(taken)

    def freed(self, reason: str) -> None:
        """Forget how long a reason lasted, because it is over."""
        self._wait.pop(reason, None)
