"""Throttling: levels by lag and depth, the less urgent first, CRITICAL never, and no flapping."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock, Monotonic
from emdata.contracts.base import Priority
from stream_manager.control.lag import Ends, LagMeter, LagUnknown, Place, Position
from stream_manager.control.throttle import HOLD_S, Level, Throttle, ThrottleLimits

AT = Monotonic


def settled(*, lag_s: float | None = None, depth: int = 0) -> Throttle:
    """A throttle that was told the same for a while."""
    throttle = Throttle(ThrottleLimits())
    for at in range(0, 30, 5):
        throttle.note(AT(at), lag_s=lag_s, depth=depth)
    return throttle


@pytest.mark.parametrize(
    ("lag_s", "depth", "level"),
    [
        (None, 0, Level.NONE),
        (59.9, 0, Level.NONE),
        (60, 0, Level.MINOR),
        (120, 0, Level.MODERATE),
        (300, 0, Level.SEVERE),
        (9e9, 0, Level.SEVERE),
        (0, 5999, Level.NONE),
        (0, 6000, Level.MINOR),
        (None, 8000, Level.SEVERE),
        (130, 6000, Level.MODERATE),
    ],
)
def test_a_level_follows_lag_and_depth(lag_s: float | None, depth: int, level: Level) -> None:
    assert settled(lag_s=lag_s, depth=depth).level is level


@pytest.mark.parametrize(
    ("lag_s", "waits"),
    [(0, (0, 0, 0, 0)), (60, (0, 0, 60, 60)), (120, (0, 60, 120, 120)), (300, (0, 120, 240, 240))],
)
def test_fault_20_low_and_normal_wait_first_high_later_critical_never(
    lag_s: float, waits: tuple[float, ...]
) -> None:
    throttle = settled(lag_s=lag_s)
    assert tuple(throttle.extra_wait(priority) for priority in Priority) == waits


def test_a_short_burst_does_not_throttle() -> None:
    throttle = Throttle(ThrottleLimits())
    for at in range(60):
        throttle.note(AT(at), lag_s=None, depth=9000 if at % 10 < 9 else 0)
    assert throttle.changes == 0


def test_fault_20_a_slow_consumer_that_recovers_frees_the_pollers_after_a_minute() -> None:
    throttle = settled(lag_s=400)
    at = 30.0
    while throttle.level and at < 1000:
        throttle.note(AT(at), lag_s=0, depth=0)
        at += 5
    assert at < 30 + HOLD_S + 15
    assert throttle.changes == 2


SIGNALS = st.lists(
    st.tuples(st.floats(0.5, 45), st.sampled_from([0.0, 55.0, 61.0, 125.0, 400.0]), st.booleans()),
    max_size=80,
)


@given(SIGNALS)
def test_fault_20_the_direction_changes_at_most_once_a_minute(
    signals: list[tuple[float, float, bool]],
) -> None:
    throttle, now = Throttle(ThrottleLimits()), 0.0
    turns: list[tuple[float, bool]] = []
    for passed, lag_s, is_full in signals:
        now += passed
        before = throttle.level
        after = throttle.note(AT(now), lag_s=lag_s, depth=9000 if is_full else 0)
        if after != before and (not turns or turns[-1][1] is not (after > before)):
            turns.append((now, after > before))
        elif after != before:
            turns[-1] = (now, after > before)
        assert throttle.extra_wait(Priority.CRITICAL) == 0
    assert all(b - a >= HOLD_S for (a, _), (b, _) in pairwise(turns))


@given(st.lists(st.sampled_from([0.0, 61.0, 125.0, 400.0]), max_size=40), st.floats(0, 500))
def test_a_steady_signal_ends_in_its_own_level(before: list[float], lag_s: float) -> None:
    throttle, now = Throttle(ThrottleLimits()), 0.0
    for one in before:
        now += 7
        throttle.note(AT(now), lag_s=one, depth=0)
    for _ in range(60):
        now += 7
        throttle.note(AT(now), lag_s=lag_s, depth=0)
    reached = Level(sum(lag_s >= limit for limit in (60, 120, 300)))
    held = Level(sum(lag_s >= limit * 0.8 for limit in (60, 120, 300)))
    assert reached <= throttle.level <= held


def position(committed: int, end: int, age_s: float | None = None) -> Position:
    return Position(committed, end, age_s)


def test_nothing_unread_is_no_lag() -> None:
    assert Ends().seconds_behind(position(5, 5), AT(10)) == 0


def test_what_was_unread_before_we_came_is_as_old_as_its_stamp() -> None:
    ends = Ends()
    assert ends.seconds_behind(position(5, 9, 250.0), AT(10)) == 250
    assert ends.seconds_behind(position(5, 9, None), AT(40)) == 30


def test_fault_21_a_jump_of_the_wall_clock_is_no_lag() -> None:
    ends = Ends()
    ends.seconds_behind(position(5, 5), AT(0))
    assert ends.seconds_behind(position(5, 9, 86_403.0), AT(10)) == 10, "a day ahead"
    assert ends.seconds_behind(position(5, 9, -3_580.0), AT(30)) == 20, "an hour back"
    assert ends.seconds_behind(position(9, 9), AT(40)) == 0


def test_a_topic_made_anew_starts_without_a_lag() -> None:
    ends = Ends()
    ends.seconds_behind(position(5, 900), AT(0))
    assert ends.seconds_behind(position(0, 3, 1.5), AT(100)) == 1.5


STEPS = st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 5), st.integers(0, 8)), max_size=60)


@given(STEPS, st.sampled_from([0.0, 86_400.0, -3_600.0]))
def test_lag_is_the_age_of_the_oldest_unread_whatever_the_wall_clock_says(
    steps: list[tuple[float, int, int]], jump: float
) -> None:
    ends, now, committed = Ends(), 0.0, 0
    written: list[float] = []
    ends.seconds_behind(position(0, 0), AT(0))
    for passed, more, read in steps:
        now += passed
        written += [now] * more
        committed = min(committed + read, len(written))
        true_age = now - written[committed] if committed < len(written) else 0.0
        age = true_age + jump if committed < len(written) else None
        found = ends.seconds_behind(position(committed, len(written), age), AT(now))
        if jump == 0.0:
            assert found == pytest.approx(true_age, abs=1e-6)
        else:  # known to the longest interval between two samples
            assert true_age - 30 - 1e-6 <= found <= true_age + 30 + 1e-6


class Reader:
    """Positions as told; None cannot be read."""

    def __init__(self, answers: dict[str, dict[Place, Position] | None]) -> None:
        self.answers, self.is_closed = answers, False

    def positions(self, group: str, topic: str) -> dict[Place, Position]:
        answer = self.answers[group]
        if answer is None:
            raise LagUnknown("away")
        return answer

    def close(self) -> None:
        self.is_closed = True


def test_a_group_is_as_far_behind_as_its_worst_partition_and_an_unknown_one_says_nothing() -> None:
    answers: dict[str, dict[Place, Position] | None] = {
        "a": {("t", 0): position(1, 5, 3.0), ("t", 1): position(1, 5, 70.0)},
        "b": None,
        "c": {},
    }
    meter = LagMeter(Reader(answers), {"a": "t", "b": "u", "c": "v"}, ManualClock())
    assert meter.measure() == {"a": 70.0, "c": 0.0}


def test_a_measurement_that_is_old_does_not_count() -> None:
    clock = ManualClock()
    reader = Reader({"a": {("t", 0): position(1, 5, 70.0)}})
    meter = LagMeter(reader, {"a": "t"}, clock, on_lag=lambda _lags: meter._stop.set())
    meter.start()
    meter._thread.join(10)
    assert (meter.worst(), meter.seconds(), reader.is_closed) == (70.0, {"a": 70.0}, True)
    clock.advance(36)
    assert meter.worst() is None
