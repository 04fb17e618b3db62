"""A store in memory, with the arithmetic of PostgreSQL's function, for tests of what asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from api.fairness.budget import Grant, Want
from emdata.clock import Clock
from emdata.errors import StateUnavailable


class MemoryStore:
    """Buckets by the given clock; ``is_away`` makes every call fail. given: wants answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float, int]] = {}
        self.is_away, self.calls, self.given = False, 0, 0

    def give(self, want: Want) -> Grant:
        """Return what a bucket gives now."""
        self.given += 1
        now, budget = self._clock.monotonic(), want.budget
        tokens, at, used = self._buckets.get(want.key, (float(budget.burst), now, 0))
        tokens = min(budget.burst, tokens + want.returned + budget.rate * (now - at))
        used = max(0, used - want.returned + want.spent)
        granted = max(0, min(want.tokens, int(tokens), budget.per_day - used))
        self._buckets[want.key] = (tokens - granted, now, used + granted)
        return Grant(granted, tokens - granted, budget.per_day - used - granted, 3600.0)

    async def take(self, wants: Sequence[Want]) -> list[Grant]:
        """See Store."""
        self._check()
        return [self.give(want) for want in wants]

    async def salt(self, day: date) -> bytes:
        """See Store."""
        self._check()
        return day.isoformat().encode()

    async def prune(self) -> None:
        """See Store."""
        self._check()

    async def close(self) -> None:
        """See Store."""

    def _check(self) -> None:
        self.calls += 1
        if self.is_away:
            raise StateUnavailable("the store is away")
