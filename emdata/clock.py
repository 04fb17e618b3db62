"""Clocks are arguments: nothing in this project reads the time behind a caller's back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Monotonic = NewType("Monotonic", float)
"""Seconds on a clock that never goes back; only differences mean anything."""


class Clock(Protocol):
    """What a component may ask about time."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime."""
        ...

    def monotonic(self) -> Monotonic:
        """Return seconds on the monotonic clock."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> Monotonic:
        """Return seconds on the monotonic clock."""
        return Monotonic(time.monotonic())


@dataclass
class ManualClock:
    """A clock that stands still until a test moves it."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    seconds: float = 0.0

    def now(self) -> datetime:
        """Return the set wall clock."""
        return self.at

    def monotonic(self) -> Monotonic:
        """Return the set monotonic seconds."""
        return Monotonic(self.seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds``."""
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds

    def jump_wall(self, seconds: float) -> None:
        """Move only the wall clock, as a clock correction does; may be negative."""
        self.at += timedelta(seconds=seconds)
