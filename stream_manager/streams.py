"""A running stream: what it was started with, what its last poll said, when it polls next."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emdata.clock import Monotonic
from emdata.commits import Commit
from emdata.contracts.base import Priority
from emdata.state.requests import Request
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.connector import Connector, PollReport, PushConnector, StreamConfig
from stream_manager.control.breaker import Breaker, State
from stream_manager.control.tenants import PUBLIC

log = get_logger(__name__)
SHORTEST_WAIT = 0.1
BUFFER_WAIT = 30.0
"""Seconds, at most, until a poll is tried again whose records the buffer did not take."""

# Ends of a poll that say nothing about the source.
_NOT_THE_SOURCE = frozenset({"buffer_unavailable", "buffer_full", "interrupted"})


@dataclass
class Stream:
    """Belongs to the manager's event loop.

    asked: ids of requests already taken; their answer reaches PostgreSQL some time later.
    waits_s: how long it waits beside its interval, because it is throttled. opened: how often its
    breaker had opened when that was said last.
    """

    connector: Connector | PushConnector
    config: StreamConfig
    tenant: str = PUBLIC
    priority: Priority = Priority.LOW
    breaker: Breaker = field(default_factory=Breaker)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[Request] = field(default_factory=list)
    asked: deque[int] = field(default_factory=lambda: deque(maxlen=1000))
    cursor: dict[str, Any] | None = None
    task: asyncio.Task[None] | None = None
    last: Commit | None = None
    last_good: Monotonic | None = None
    failures: int = 0
    is_polling: bool = False
    waits_s: float = 0.0
    opened: int = 0

    def begin_poll(self, now: Monotonic) -> None:
        """Note an attempt; its wait is over, or somebody asks, and then it is the probe."""
        self.breaker.hurry()
        self.breaker.try_now(now)

    def judge(self, commit: Commit, report: PollReport, now: Monotonic, slow_s: float) -> None:
        """Tell the breaker how the source did: each slow answer, or the poll, is a failure."""
        if commit.outcome == "failed":
            self.failures += 1
            if commit.error_class not in _NOT_THE_SOURCE:
                self.breaker.failed(now)
        else:
            self.failures, self.last_good = 0, now
            for seconds in report.answers_s or (0.0,):
                if seconds > slow_s:
                    self.breaker.failed(now)
                else:
                    self.breaker.succeeded()
        self.show_breaker()

    def crashed(self, now: Monotonic) -> float:
        """Note a bug outside a poll and return the seconds until the next try."""
        self.failures += 1
        self.breaker.failed(now)
        self.show_breaker()
        return max(self.breaker.wait(now), SHORTEST_WAIT)

    def wait_after(
        self, commit: Commit, report: PollReport, now: Monotonic, *, took: float, extra_s: float
    ) -> float:
        """Return the seconds until the next poll; extra_s is the throttle's."""
        every = self.config.every_seconds
        self.waits_s = extra_s
        if commit.outcome == "failed":
            if commit.error_class in _NOT_THE_SOURCE:
                return min(every, BUFFER_WAIT)
            asked_for = report.retry_after_s or 0.0
            return max(self.breaker.wait(now), asked_for, min(every, SHORTEST_WAIT))
        if any(counts.deferred for counts in commit.datasets.values()):
            return max(min(every, BUFFER_WAIT), extra_s)
        usual = max(every - took, min(every, SHORTEST_WAIT)) + extra_s
        return max(usual, self.breaker.wait(now))

    def show_breaker(self) -> None:
        """Set the metric, and say it once when the breaker opened."""
        metrics.BREAKER_STATE.labels("source", self.connector.name).set(self.breaker.state)
        if self.breaker.opened > self.opened:
            self.opened = self.breaker.opened
            log.warning("source_left_alone", stream=self.connector.name, failures=self.failures)

    def registration(self, writer: int, now: datetime) -> dict[str, Any]:
        """Return the row of table ``streams``."""
        return {
            "stream": self.connector.name,
            "source": self.connector.source,
            "writer": writer,
            "datasets": [record.dataset.name for record in self.connector.emits],
            "every_seconds": max(1, round(self.config.every_seconds)),
            "is_on": True,
            "updated_at": now,
        }

    def row(self) -> dict[str, Any]:
        """Return what ``/status`` shows."""
        last, state = self.last, self.breaker.state
        return {
            "stream": self.connector.name,
            "source": self.connector.source,
            "tenant": self.tenant,
            "mode": self.config.mode,
            "batch_size": self.config.records_a_batch,
            "priority": self.priority.name,
            "every_seconds": self.config.every_seconds,
            "is_polling": self.is_polling,
            "is_loaded": self.cursor is not None,
            "failures": self.failures,
            "breaker": "" if state is State.CLOSED else state.name.lower(),
            "throttled_s": self.waits_s,
            "last_outcome": None if last is None else last.outcome,
            "last_finished_at": None if last is None else last.finished_at,
            "last_error": None if last is None else last.error,
            "last_rows": None if last is None else last.rows,
        }
