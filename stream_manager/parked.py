"""Entries that cannot go now, by reason, so that they hold up nobody else.

A topic that is gone, or a segment that cannot be read, concerns its own records only: they wait
here, in order, and are queued again after a while.
"""

from __future__ import annotations

from collections.abc import Iterable

from emdata.clock import Clock, Monotonic
from stream_manager.buffer import Entry

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0


class Parked:
    """Belongs to the delivery thread. Waits are in seconds and double until a reason is freed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, list[Entry]] = {}
        self._due: dict[str, float] = {}
        self._wait: dict[str, float] = {}

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def holds(self, reason: str) -> bool:
        """Whether entries wait for this reason, so that later ones must wait behind them."""
        return reason in self._entries

    def add(self, reason: str, entries: Iterable[Entry]) -> None:
        """Let entries wait; their bytes are given up, for they are in the buffer."""
        if reason not in self._entries:
            wait = self._wait.get(reason, FIRST_WAIT)
            self._wait[reason] = min(wait * 2, LONGEST_WAIT)
            self._due[reason] = self._clock.monotonic() + wait
        held = self._entries.setdefault(reason, [])
        for entry in entries:
            entry.record = None
            held.append(entry)

    def take_due(self) -> list[Entry]:
        """Return the entries whose time has come, in log order."""
        now: Monotonic = self._clock.monotonic()
        due = [reason for reason, at in self._due.items() if at <= now]
        taken = [entry for reason in due for entry in self._entries.pop(reason)]
        for reason in due:
            del self._due[reason]
        return sorted(taken, key=lambda entry: (entry.segment, entry.ordinal))

    def freed(self, reason: str) -> None:
        """Forget how long a reason lasted, because it is over."""
        self._wait.pop(reason, None)
