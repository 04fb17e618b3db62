"""Token buckets of which each process holds some tokens; pure, the time comes from outside.

A bucket lies in the store that the processes share. A process leases some of its tokens for
LEASE_SECONDS, spends them without asking anybody, and gives back what is left. A lease that is
asked for before the last one is spent keeps that one's rest alive, once. So in any 60 s no more
is spent than the bucket gave in these and two leases before: at most 5 % too much.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Literal

from api.access.caller import Policy

LEASE_SECONDS = 1.5
"""2.5 % of the minute that rates are stated for."""
GROW_SECONDS = 0.5
"""A lease that is half spent sooner than this was too small: the next one is twice as large."""
REST_SECONDS = 0.1
"""How long a bucket that was found empty is left to fill, give or take a half."""
Limit = Literal["minute", "day"]
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Budget:
    """What one bucket gives: ``rate`` tokens a second, ``burst`` at once, ``per_day`` a UTC day."""

    rate: float
    burst: int
    per_day: int

    @classmethod
    def of(cls, policy: Policy) -> Budget:
        """Return the budget of a policy."""
        return cls(policy.requests_per_minute / 60, policy.burst, policy.requests_per_day)

    @property
    def largest_lease(self) -> int:
        """Tokens of one lease at most: what is spent in its time, and a quarter of a burst."""
        return max(1, min(self.burst // 4, math.ceil(self.rate * LEASE_SECONDS)))

    def part(self, workers: int) -> Budget:
        """Return what one of ``workers`` may give when they cannot share."""
        per_day = max(1, self.per_day // workers) if self.per_day else 0
        return Budget(self.rate / workers, math.ceil(self.burst / workers), per_day)


@dataclass(frozen=True, slots=True)
class Want:
    """What a process asks of a bucket: tokens, and what it did with those before.

    returned: leased and not spent. spent: given out without the store, counts for the day.
    """

    key: str
    budget: Budget
    tokens: int
    returned: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bucket gave. left, day_left: after that; day_seconds: until UTC midnight."""

    tokens: int
    left: float
    day_left: int
    day_seconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may go on; ``limit`` names what it did not pass.

    seconds: until it may be asked again, or until the bucket is full again. remaining: tokens
    known to be there.
    """

    is_allowed: bool
    limit: Limit
    seconds: float
    remaining: int
    day_remaining: int
    day_seconds: float


class Account:
    """What a process knows of one bucket; every instant is on the monotonic clock."""

    __slots__ = (
        "_day_ends", "_day_left", "_is_drained", "_left", "_next", "_refused", "_refused_until",
        "_seen", "_spacing", "budget", "expires", "is_asked", "key", "local_at", "local_day",
        "local_level", "size", "spent", "tokens", "waiting",
    )  # fmt: skip

    def __init__(self, key: str, budget: Budget, now: float) -> None:
        self.key, self.budget = key, budget
        self.tokens, self.expires, self.size = 0, now, 1
        self.is_asked, self.waiting, self.spent = False, 0, 0
        self._refused_until = -math.inf
        self._refused: Limit = "minute"
        self._is_drained, self._spacing, self._next = False, 0.0, now
        self._left, self._seen = float(budget.burst), now
        self._day_left, self._day_ends = budget.per_day, now + DAY_SECONDS
        self.local_level: float | None = None
        self.local_at, self.local_day = now, -1

    def take(self, now: float) -> bool | None:
        """Spend a token: True; False when none is to be had yet; None: ask the bucket."""
        if self.tokens and now < self.expires:
            if now < self._next:
                return False
            self.tokens -= 1
            self._next = max(self._next, now - self._spacing) + self._spacing
            return True
        return False if now < self._refused_until else None

    def is_low(self, now: float) -> bool:
        """Whether more should be asked for before the last token is spent."""
        return self.tokens <= self.size // 2 and not self.is_asked and now >= self._refused_until

    def want(self, now: float) -> Want:
        """Return what to ask the store for; what is not spent of an old lease goes back."""
        returned = 0
        if self.tokens and now >= self.expires:
            returned, self.tokens, self.size = self.tokens, 0, max(1, self.size // 2)
        elif self.is_asked and (not self.tokens or now - self._seen < GROW_SECONDS):
            self.size = min(self.budget.largest_lease, self.size * 2)
        self.size = min(self.size, self.budget.largest_lease)
        tokens = self.size + self.waiting if self.is_asked else 0
        return Want(self.key, self.budget, tokens, returned, self.spent)

    def granted(self, want: Want, grant: Grant, now: float) -> None:
        """Take what the store gave for a want."""
        self.tokens += grant.tokens
        self.spent -= want.spent
        self.expires = now + LEASE_SECONDS
        self._left, self._seen = grant.left, now
        self._day_left, self._day_ends = grant.day_left, now + grant.day_seconds
        self.local_level = None
        was_drained, self._is_drained = self._is_drained, grant.tokens < want.tokens
        self._spacing = 0.0
        if not self._is_drained:
            return
        # What it gave is spent first; then nothing is asked for until some has come together:
        # a flood would otherwise cost a call for every token that drops in.
        if grant.day_left <= 0:
            self._refused, wait = "day", min(grant.day_seconds, 60.0)
        else:
            self._refused = "minute"
            wait = max(_seconds(1 - grant.left, self.budget.rate), self._rest())
        # Whoever changes a policy, or gives tokens back, is noticed within these seconds.
        wait = min(wait, LEASE_SECONDS)
        self._refused_until = now + wait
        if was_drained:
            # Whoever goes on asking gets them one after the other: what is served all at once
            # stands in the way of others. A burst is served as it comes.
            self._spacing = wait / max(self.tokens, 1)

    def _rest(self) -> float:
        """Return how long to leave an empty bucket: never so long that it would run over.

        It differs from time to time, or one of several processes would always come second.
        """
        fills = _seconds(self.budget.burst, self.budget.rate)
        spread = random.uniform(0.5, 1.5)  # noqa: S311 - nothing is kept secret by it
        return min(REST_SECONDS * spread, fills / 2)

    def take_locally(self, workers: int, now: float, day: int) -> bool:
        """Spend a token of this process's part of the budget, because nobody can be asked."""
        part = self.budget.part(workers)
        if self.local_level is None:
            self.local_level, self.local_at = min(part.burst, self._left / workers + 1), now
        level = self.local_level + part.rate * (now - self.local_at)
        self.local_level, self.local_at = min(float(part.burst), level), now
        if self.local_day != day:
            self.local_day, self._day_left, self.spent = day, part.per_day, 0
        if self.local_level < 1 or self.spent >= part.per_day:
            is_day = self.spent >= part.per_day
            self._refused = "day" if is_day else "minute"
            wait = DAY_SECONDS if is_day else _seconds(1 - self.local_level, part.rate)
            self._refused_until = now + min(wait, 1.0)
            return False
        self.local_level -= 1
        self.spent += 1
        return True

    def decision(self, is_allowed: bool, now: float) -> Decision:
        """Return what to tell the caller."""
        rate, burst = self.budget.rate, self.budget.burst
        level = self.local_level
        if level is None:
            level = min(float(burst), self.tokens + self._left + rate * (now - self._seen))
        day_seconds = max(0.0, self._day_ends - now)
        if is_allowed:
            seconds = _seconds(burst - level, rate)
        elif self.tokens and now < self._next:
            return Decision(False, "minute", self._next - now, 0, self._days_left(), day_seconds)
        else:
            seconds = max(_seconds(1 - level, rate), self._refused_until - now)
            seconds = day_seconds if self._refused == "day" else seconds
        remaining, left = int(level) if is_allowed else 0, self._days_left()
        return Decision(is_allowed, self._refused, seconds, remaining, left, day_seconds)

    def _days_left(self) -> int:
        return max(0, self._day_left + self.tokens - self.spent)


def _seconds(tokens: float, rate: float) -> float:
    """Return how long a bucket needs for so many tokens; an hour where it gives none at all."""
    return max(0.0, tokens) / rate if rate > 0 else 3600.0
