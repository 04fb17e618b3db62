"""Breakers: three failures, a pause, one probe; whatever the wall clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock, Monotonic
from emdata.contracts.base import Priority
from stream_manager.control.breaker import Breaker, DestinationBreaker, State

AT = Monotonic


def breaker(**options: float) -> Breaker:
    return Breaker(jitter=lambda: 1.0, **options)


def test_three_attempts_at_0_2_and_4_seconds_then_60_seconds_then_one_probe() -> None:
    one = breaker()
    assert one.try_now(AT(0))
    one.failed(AT(0))
    assert not one.try_now(AT(1.9))
    assert one.try_now(AT(2))
    one.failed(AT(2))
    assert not one.try_now(AT(5.9))
    assert one.try_now(AT(6))
    one.failed(AT(6))
    assert one.state is State.OPEN
    assert not one.try_now(AT(65.9))
    assert one.try_now(AT(66))
    assert one.state is State.HALF_OPEN
    assert not one.try_now(AT(67)), "one probe, not two"
    one.succeeded()
    assert (one.state, one.wait(AT(67))) == (State.CLOSED, 0)


def test_a_probe_that_fails_opens_again_for_as_long_or_longer_up_to_a_limit() -> None:
    one = breaker(open_s=60, longest_s=200)
    pauses = []
    now = 0.0
    for _ in range(3):
        assert one.try_now(AT(now))
        one.failed(AT(now))
        now += one.wait(AT(now))
    for _ in range(4):
        assert one.try_now(AT(now))
        one.failed(AT(now))
        pauses.append(one.wait(AT(now)))
        now += pauses[-1]
    assert pauses == [120, 200, 200, 200]


def test_a_probe_without_an_end_allows_another_later() -> None:
    one = breaker()
    for at in (0, 2, 6):
        one.failed(AT(at))
    assert one.try_now(AT(66))
    assert not one.try_now(AT(125))
    assert one.try_now(AT(126))


def test_a_person_who_asks_is_the_probe() -> None:
    one = breaker()
    for at in (0, 2, 6):
        one.failed(AT(at))
    one.hurry()
    assert one.try_now(AT(7))
    one.succeeded()
    assert one.state is State.CLOSED


EVENTS = st.lists(st.tuples(st.integers(0, 90), st.sampled_from("tfs")), max_size=60)


@given(EVENTS)
def test_an_open_breaker_never_allows_two_attempts_within_its_pause(
    events: list[tuple[int, str]],
) -> None:
    one, now, last_try, was_open = breaker(), 0.0, -1e9, False
    for passed, event in events:
        now += passed
        if event == "t":
            is_open = one.state is not State.CLOSED
            if one.try_now(AT(now)):
                assert not (is_open and was_open and now - last_try < 60)
                last_try, was_open = now, is_open
        elif event == "f":
            one.failed(AT(now))
        else:
            one.succeeded()
            was_open = False
            assert one.wait(AT(now)) == 0
        assert 0 <= one.wait(AT(now)) <= 60
        assert one.failures < 3 or one.state is not State.CLOSED


@given(EVENTS)
def test_it_always_ends_closed_once_everything_succeeds(events: list[tuple[int, str]]) -> None:
    one, now = breaker(), 0.0
    for passed, event in events:
        now += passed
        if event == "t":
            one.try_now(AT(now))
        elif event == "f":
            one.failed(AT(now))
        else:
            one.succeeded()
    now += one.wait(AT(now))
    assert one.try_now(AT(now))
    one.succeeded()
    assert (one.state, one.failures) == (State.CLOSED, 0)


def test_fault_18_a_destination_that_refuses_opens_is_not_hammered_and_recovers() -> None:
    clock = ManualClock()
    kafka = DestinationBreaker(breaker())
    tries = 0
    while clock.monotonic() < 200:  # access is denied, the session expired: every batch fails
        now = clock.monotonic()
        if kafka.may_send(Priority.LOW, now):
            tries += 1
            kafka.sent(tries, now)
            kafka.reported(tries, now, is_answered=False)
        clock.advance(0.05)
    assert tries == 6, "at 0, 2, 6, and then one a minute: 66, 126, 186"
    assert kafka.state is State.OPEN
    clock.advance(60)
    assert kafka.may_send(Priority.LOW, clock.monotonic())
    kafka.sent("probe", clock.monotonic())
    assert not kafka.may_send(Priority.LOW, clock.monotonic()), "one probe"
    kafka.reported("probe", clock.monotonic(), is_answered=True)
    assert kafka.state is State.CLOSED
    assert kafka.may_send(Priority.LOW, clock.monotonic())


def test_a_batch_without_a_report_for_10_seconds_is_one_failure_and_its_batch_mates_none() -> None:
    kafka = DestinationBreaker(breaker())
    for number in range(20):
        kafka.sent(number, AT(number / 10))
    kafka.tick(AT(9.99))
    assert kafka.breaker.failures == 0
    for tenth in range(100, 140):
        kafka.tick(AT(tenth / 10))
    assert kafka.breaker.failures == 1, "what was sent before the failure tells nothing new"
    kafka.sent("second", AT(14))
    kafka.tick(AT(24))
    kafka.sent("third", AT(28))
    kafka.tick(AT(38))
    assert kafka.state is State.OPEN


def test_a_late_answer_closes_at_once() -> None:
    kafka = DestinationBreaker(breaker())
    kafka.sent("a", AT(0))
    kafka.tick(AT(10))
    for at in (12.0, 16.0):
        kafka.brokers_down(AT(at))
    assert kafka.state is State.OPEN
    kafka.reported("a", AT(20), is_answered=True)
    assert kafka.state is State.CLOSED


def test_all_brokers_down_told_twenty_times_a_second_is_three_attempts() -> None:
    kafka = DestinationBreaker(breaker())
    opened_at = None
    for twentieth in range(200):
        now = AT(twentieth / 20)
        kafka.brokers_down(now)
        if kafka.state is State.OPEN and opened_at is None:
            opened_at = now
    assert opened_at == 6.0


@given(EVENTS)
def test_critical_is_never_held_by_a_breaker(events: list[tuple[int, str]]) -> None:
    kafka, now = DestinationBreaker(breaker()), 0.0
    for number, (passed, event) in enumerate(events):
        now += passed
        kafka.sent(number, AT(now))
        if event == "f":
            kafka.reported(number, AT(now), is_answered=False)
        kafka.tick(AT(now))
        assert kafka.may_send(Priority.CRITICAL, AT(now))


def test_fault_21_a_breaker_opens_and_ends_by_the_monotonic_clock() -> None:
    for jump in (-3600, 86_400, 1):
        clock = ManualClock()
        kafka = DestinationBreaker(breaker())
        for pause in (0.0, 2.0, 4.0):
            clock.advance(pause)
            kafka.brokers_down(clock.monotonic())
        clock.jump_wall(jump)
        clock.advance(59.9)
        assert not kafka.may_send(Priority.HIGH, clock.monotonic())
        clock.advance(0.2)
        assert kafka.may_send(Priority.HIGH, clock.monotonic())
