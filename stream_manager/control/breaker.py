"""Breakers: after three failures in a row nothing is asked for a while, then one probe.

``Breaker`` is the state machine; it never reads a clock, sleeps or locks. Times are monotonic
seconds, so that a jump of the wall clock neither opens nor holds one.

A source's breaker belongs to its stream and is driven by the manager. Kafka's breaker is
``DestinationBreaker``, driven by the delivery thread, which calls

    breaker.may_send(priority, now)  before it takes from the queues; False: leave it there
    breaker.sent(batch, now)         when it handed a batch over (any hashable name for it)
    breaker.reported(batch, now, is_answered=...)  with a batch's delivery report: True when Kafka
                                     answered (delivered, or refused this record or topic), False
                                     for a time-out or a lost connection
    breaker.brokers_down(now)        when librdkafka says _ALL_BROKERS_DOWN, or none answers
    breaker.tick(now)                every second or less
    breaker.reset()                  when producers were replaced: nothing is out any more

While it is open records stay in the queues and in the buffer. CRITICAL is always let through, to a
producer that sends it the moment Kafka is back: waiting for a probe would cost it up to a minute.
An answer on a batch that was still in flight closes the breaker at once, whatever time is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from enum import IntEnum

from emdata.clock import Monotonic
from emdata.contracts.base import Priority

WAITS = (0.0, 2.0, 4.0)
"""Seconds before the first, second and third attempt."""

NEVER = Monotonic(float("-inf"))


class State(IntEnum):
    """As the metric ``stream_circuit_breaker_state`` shows it."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Breaker:
    """Closed, open, half-open.

    open_s: how long it stays open; while probes keep failing this doubles up to ``longest_s``.
    waits: before each attempt, and so as many as there are attempts; jitter: a factor for each.
    """

    def __init__(
        self,
        open_s: float = 60.0,
        longest_s: float = 0.0,
        waits: Sequence[float] = WAITS,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311  spreading
    ) -> None:
        self.state = State.CLOSED
        self.failures = 0
        self.opened = 0
        self._open_s, self._longest_s, self._jitter = open_s, max(longest_s, open_s), jitter
        self._waits = waits
        self._next_s = open_s
        self._not_before = NEVER

    def wait(self, now: Monotonic) -> float:
        """Seconds until the next attempt may be made; 0 when it may be made now."""
        return max(0.0, self._not_before - now)

    def try_now(self, now: Monotonic) -> bool:
        """Whether an attempt may be made; an open breaker whose time is over grants one probe.

        The probe's time is limited too: one that never comes to an end allows another later.
        """
        if self.wait(now) > 0:
            return False
        if self.state is not State.CLOSED:
            self.state = State.HALF_OPEN
            self._not_before = Monotonic(now + self._open_s)
        return True

    def succeeded(self) -> None:
        """Close: it answers."""
        self.state, self.failures, self._next_s = State.CLOSED, 0, self._open_s
        self._not_before = NEVER

    def failed(self, now: Monotonic) -> None:
        """Note a failure: the third in a row opens, and so does that of a probe."""
        if self.state is State.OPEN:
            return
        self.failures += 1
        if self.state is State.CLOSED and self.failures < len(self._waits):
            self._not_before = Monotonic(now + self._waits[self.failures] * self._jitter())
            return
        if self.state is State.HALF_OPEN:
            self._next_s = min(self._next_s * 2, self._longest_s)
        self.state = State.OPEN
        self.opened += 1
        self._not_before = Monotonic(now + self._next_s)

    def hurry(self) -> None:
        """Let the next attempt be made at once, such as when a person asks for it."""
        self._not_before = NEVER


class DestinationBreaker:
    """Kafka's: a failure is a batch without a report for ``report_s``, or all brokers down.

    Of batches handed over before the last failure no more is learned: what they say is the same
    news. ``sent`` may be called from another thread than the rest.
    """

    def __init__(self, breaker: Breaker | None = None, report_s: float = 10.0) -> None:
        self.breaker = breaker or Breaker()
        self._report_s = report_s
        self._out: dict[Hashable, Monotonic] = {}
        self._failed_at = NEVER

    @property
    def state(self) -> State:
        """Closed, open or half-open."""
        return self.breaker.state

    def may_send(self, priority: Priority, now: Monotonic) -> bool:
        """Whether a batch of a priority may be handed over; the next one may be the probe."""
        return priority is Priority.CRITICAL or self.breaker.wait(now) == 0

    def sent(self, batch: Hashable, now: Monotonic) -> None:
        """Note a batch that was handed over and is not reported on yet."""
        self._out[batch] = now
        self.breaker.try_now(now)

    def reported(self, batch: Hashable, now: Monotonic, *, is_answered: bool) -> None:
        """Note the report on a batch; an answer closes the breaker, however late it comes."""
        at = self._out.pop(batch, NEVER)
        if is_answered:
            self.breaker.succeeded()
        else:
            self._fail(at, now)

    def withdrawn(self, batch: Hashable) -> None:
        """Forget a batch of which nothing was handed over after all."""
        self._out.pop(batch, None)

    def brokers_down(self, now: Monotonic) -> None:
        """Note that no broker can be reached; told twenty times a second, it counts once a try."""
        self._fail(now, now)

    def tick(self, now: Monotonic) -> None:
        """Find batches that got no report in time."""
        while (oldest := self._oldest()) is not None and now - oldest[1] >= self._report_s:
            self._out.pop(oldest[0], None)
            self._fail(oldest[1], now)

    def reset(self) -> None:
        """Forget what was out, because its producer is no more."""
        self._out.clear()

    def _oldest(self) -> tuple[Hashable, Monotonic] | None:
        # Asked hundreds of times a second, with thousands out: looks at the first one only.
        try:
            return next(iter(self._out.items()), None)
        except RuntimeError:  # the other thread added one this very moment; the next tick will see
            return None

    def _fail(self, since: Monotonic, now: Monotonic) -> None:
        is_waiting = self.breaker.state is not State.HALF_OPEN and self.breaker.wait(now) > 0
        if is_waiting or since < self._failed_at:
            return
        self._failed_at = now
        self.breaker.failed(now)
