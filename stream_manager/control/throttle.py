"""Throttling: pollers slow down when what is behind them does not keep up.

Two signals: how many seconds the landing jobs are behind (``stream_manager.control.lag``), and how
full the queues are. Three levels: minor, moderate, severe. A level makes streams wait longer
between polls, LOW and NORMAL first, HIGH one level later, CRITICAL streams never. Nobody sleeps
here and no lock is held: a stream asks ``extra_wait`` when it computes its next poll.

Hysteresis: a level is taken once its signal has lasted for ``RISE_S``, and left once the signal
has been clearly below (``CLEAR`` of the threshold) for ``HOLD_S``; the direction changes at most
once in ``HOLD_S``. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from emdata.clock import Monotonic
from emdata.contracts.base import Priority

RISE_S = 10.0
HOLD_S = 60.0
CLEAR = 0.8


class Level(IntEnum):
    """As the metric ``stream_throttling_active`` shows it."""

    NONE = 0
    MINOR = 1
    MODERATE = 2
    SEVERE = 3


@dataclass(frozen=True, slots=True)
class ThrottleLimits:
    """lag_s, waits_s: minor, moderate, severe, in seconds. capacity: records in a full queue;
    depths: its shares that are minor and severe."""

    lag_s: Sequence[float] = (60.0, 120.0, 300.0)
    waits_s: Sequence[float] = (60.0, 120.0, 240.0)
    capacity: int = 10_000
    depths: tuple[float, float] = (0.6, 0.8)


class Throttle:
    """The level in force; fed by ``note``, asked by ``extra_wait``."""

    def __init__(self, limits: ThrottleLimits) -> None:
        self.level = Level.NONE
        self.changes = 0
        self._limits = limits
        self._changed_at = Monotonic(float("-inf"))
        self._last_rise = True
        self._above: dict[Level, Monotonic] = {}
        self._below: dict[Level, Monotonic] = {}

    def note(self, now: Monotonic, *, lag_s: float | None, depth: int) -> Level:
        """Take a measurement and return the level in force.

        lag_s: seconds behind of the slowest landing group, None when not known. depth: records in
        the fullest queue but that of CRITICAL.
        """
        raising = self._wanted(lag_s, depth, 1.0)
        holding = self._wanted(lag_s, depth, CLEAR)
        for level in list(Level)[1:]:
            _mark(self._above, level, raising >= level, now)
            _mark(self._below, level, holding < level, now)
        risen = [one for one, since in self._above.items() if now - since >= RISE_S]
        higher = max(risen, default=Level.NONE)
        if higher > self.level:
            self._change(higher, now, is_rise=True)
            return self.level
        held = max(one for one in Level if now - self._below.get(one, now) < HOLD_S)
        if held < self.level:
            self._change(held, now, is_rise=False)
        return self.level

    def extra_wait(self, priority: Priority) -> float:
        """Seconds that a stream of this priority waits beside its interval."""
        if priority is Priority.CRITICAL:
            return 0.0
        level = self.level - 1 if priority is Priority.HIGH else int(self.level)
        return self._limits.waits_s[level - 1] if level > 0 else 0.0

    def _wanted(self, lag_s: float | None, depth: int, share: float) -> Level:
        behind = sum(1 for limit in self._limits.lag_s if (lag_s or 0.0) >= limit * share)
        minor, severe = (part * self._limits.capacity * share for part in self._limits.depths)
        full = Level.SEVERE if depth >= severe else Level.MINOR if depth >= minor else Level.NONE
        return max(Level(behind), full)

    def _change(self, level: Level, now: Monotonic, *, is_rise: bool) -> None:
        if is_rise is not self._last_rise and now - self._changed_at < HOLD_S:
            return
        self.level, self._changed_at, self._last_rise = level, now, is_rise
        self.changes += 1


def _mark(since: dict[Level, Monotonic], level: Level, holds: bool, now: Monotonic) -> None:
    if holds:
        since.setdefault(level, now)
    else:
        since.pop(level, None)
