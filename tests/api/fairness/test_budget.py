"""Leases of tokens: however processes and callers come and go, a minute gives hardly too much."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.access.caller import Policy
from api.fairness.budget import LEASE_SECONDS, Account, Budget, Grant, Want
from emdata.clock import ManualClock
from tests.api.fairness.memory_store import MemoryStore

NEVER = 10**9
BUDGETS = st.builds(
    Budget, rate=st.sampled_from([0.5, 1.0, 5.0, 20.0]), burst=st.integers(1, 200),
    per_day=st.just(NEVER),
)  # fmt: skip


class Processes:
    """Some processes that hold leases of one bucket; the store answers at once."""

    def __init__(self, count: int, budget: Budget) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.accounts = [Account("one", budget, self.clock.monotonic()) for _ in range(count)]
        self.spent_at: list[float] = []

    def ask(self, process: int) -> bool:
        """One request at one process, as the limiter treats it."""
        account, now = self.accounts[process], self.clock.monotonic()
        verdict = account.take(now)
        if verdict is None:
            account.waiting += 1
            self._lease(account)
            account.waiting -= 1
            verdict = bool(account.take(now))
        elif account.is_low(now):
            self._lease(account)
        if verdict:
            self.spent_at.append(now)
        return verdict

    def sweep(self) -> None:
        """Give back what is expired."""
        for account in self.accounts:
            if account.tokens and self.clock.monotonic() >= account.expires:
                self._exchange(account)

    def _lease(self, account: Account) -> None:
        account.is_asked = True
        self._exchange(account)
        account.is_asked = False

    def _exchange(self, account: Account) -> None:
        want = account.want(self.clock.monotonic())
        account.granted(want, self.store.give(want), self.clock.monotonic())


@given(
    BUDGETS,
    st.integers(1, 8),
    st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.4, 5.0, 40.0])),
        max_size=400,
    ),
)
def test_no_minute_gives_more_than_five_percent_too_much(
    budget: Budget, count: int, asked: list[tuple[int, float]]
) -> None:
    world = Processes(count, budget)
    for process, pause in asked:
        world.clock.advance(pause)
        world.sweep()
        world.ask(process % count)
    most = 1.05 * (budget.burst + 60 * budget.rate) + 1
    times = world.spent_at
    for first in range(len(times)):
        within = sum(1 for at in times[first:] if at < times[first] + 60)
        assert within <= most, f"{within} from {times[first]}"


@given(BUDGETS, st.integers(1, 5))
def test_all_tokens_of_a_burst_can_be_had_by_whoever_asks(budget: Budget, count: int) -> None:
    world = Processes(count, budget)
    got = sum(world.ask(number % count) for number in range(budget.burst * 3))
    held = sum(account.tokens for account in world.accounts)
    assert got + held == budget.burst
    world.clock.advance(LEASE_SECONDS + 0.01)
    world.sweep()
    assert all(account.tokens == 0 for account in world.accounts)


def test_a_slow_caller_waits_for_the_store_at_most_every_other_time() -> None:
    world = Processes(1, Budget(rate=1.0, burst=30, per_day=NEVER))
    account, waited = world.accounts[0], 0
    for _ in range(600):
        world.clock.advance(1.0)
        world.sweep()
        waited += account.tokens == 0
        assert world.ask(0)
    assert waited <= 300


def test_an_empty_bucket_is_asked_again_only_when_it_may_have_something() -> None:
    world = Processes(1, Budget(rate=0.5, burst=5, per_day=NEVER))
    while world.ask(0):
        pass
    calls, account = world.store.given, world.accounts[0]
    for _ in range(1000):
        assert account.take(world.clock.monotonic()) is False
    assert world.store.given == calls
    decision = account.decision(False, world.clock.monotonic())
    assert decision.limit == "minute"
    assert 0 < decision.seconds <= 2.0
    world.clock.advance(2.0)
    assert world.ask(0)


@pytest.mark.parametrize("pace", [0.02, 0.001])
def test_who_asks_steadily_costs_a_call_each_half_second_and_no_more(pace: float) -> None:
    world = Processes(1, Budget(rate=10_000.0, burst=100_000, per_day=NEVER))
    for _ in range(int(10 / pace)):
        world.clock.advance(pace)
        assert world.ask(0)
    growing = 20
    assert world.store.given <= 10 / 0.5 + growing


def test_a_flood_of_an_empty_bucket_costs_few_calls_and_gets_all_that_drops_in() -> None:
    world = Processes(1, Budget(rate=200.0, burst=200, per_day=NEVER))
    for _ in range(10_000):
        world.clock.advance(0.001)
        world.ask(0)
    assert world.store.given <= 250
    assert 200 + 200 * 10 * 0.97 <= len(world.spent_at) <= 200 + 200 * 10


def test_an_empty_bucket_is_never_left_until_it_runs_over() -> None:
    world = Processes(1, Budget(rate=100.0, burst=2, per_day=NEVER))
    for _ in range(10_000):
        world.clock.advance(0.001)
        world.ask(0)
    assert len(world.spent_at) >= 100 * 10 * 0.9


def test_processes_that_ask_alike_share_an_empty_bucket() -> None:
    world = Processes(3, Budget(rate=200.0, burst=200, per_day=NEVER))
    got = [0, 0, 0]
    for _ in range(20_000):
        world.clock.advance(0.001)
        for process in range(3):
            got[process] += world.ask(process)
    assert min(got) > sum(got) / 3 * 0.6, got


def test_a_day_that_is_used_up_says_so_and_until_when() -> None:
    account = Account("one", Budget(10.0, 100, 50), 0.0)
    account.is_asked, account.waiting = True, 1
    account.granted(account.want(0.0), Grant(0, 50.0, 0, 7200.0), 0.0)
    assert account.take(0.0) is False
    decision = account.decision(False, 1.0)
    assert (decision.limit, decision.day_remaining) == ("day", 0)
    assert decision.seconds == pytest.approx(7199.0)


def test_a_process_alone_gives_its_part_of_the_burst_and_of_the_rate() -> None:
    account = Account("one", Budget(8.0, 40, 1000), 0.0)
    assert _spent(lambda: account.take_locally(4, 0.0, 1)) == 10
    assert _spent(lambda: account.take_locally(4, 1.0, 1)) == 2
    account = Account("one", Budget(1000.0, 1000, 40), 0.0)
    assert _spent(lambda: account.take_locally(4, 0.0, 1)) == 10
    assert account.decision(False, 0.0).limit == "day"
    assert account.take_locally(4, 1.0, 2), "another day"


def test_what_was_spent_alone_counts_for_the_day_once_the_store_is_back() -> None:
    world = Processes(1, Budget(10.0, 40, 100))
    account = world.accounts[0]
    assert _spent(lambda: account.take_locally(1, 0.0, 1)) == 40
    world.clock.advance(1.0)
    assert world.ask(0)
    held = account.tokens
    (used,) = (bucket[2] for bucket in world.store._buckets.values())
    assert used == 40 + 1 + held
    assert account.spent == 0


def test_a_policy_becomes_a_budget() -> None:
    budget = Budget.of(Policy("public", requests_per_minute=60, burst=30, requests_per_day=20))
    assert budget == Budget(1.0, 30, 20)
    assert budget.largest_lease == 2
    assert Budget(0.0, 1, 1).largest_lease == 1
    assert budget.part(4) == Budget(0.25, 8, 5)


def test_a_want_gives_back_only_what_is_expired() -> None:
    account = Account("one", Budget(10.0, 100, NEVER), 0.0)
    account.is_asked, account.waiting = True, 3
    want = account.want(0.0)
    assert want == Want("one", account.budget, 5)
    account.granted(want, Grant(5, 95.0, NEVER, 9.0), 0.0)
    account.is_asked, account.waiting = False, 0
    assert account.want(1.0).returned == 0
    assert account.want(LEASE_SECONDS).returned == 5
    assert account.tokens == 0


def _spent(take: Callable[[], bool]) -> int:
    count = 0
    while take():
        count += 1
    return count


def test_who_goes_on_asking_is_served_evenly_and_a_burst_at_once() -> None:
    budget = Budget(100.0, 50, 1_000_000)
    account = Account("flood", budget, 0.0)
    account.is_asked = True
    account.granted(Want("flood", budget, 60), Grant(50, 0.0, NEVER, 3600.0), 0.0)
    assert all(account.take(0.0) for _ in range(50)), "a burst is served as it comes"
    account.granted(Want("flood", budget, 60), Grant(10, 0.0, NEVER, 3600.0), 0.1)
    rest = account._refused_until - 0.1
    served = [at for at in range(1000) if account.take(0.1 + at / 1000 * rest)]
    assert len(served) == 10
    # The first two may come together: who was refused in between has one to the good.
    assert all(90 <= after - before <= 110 for before, after in pairwise(served[1:]))
    refused = account.decision(False, 0.1 + 0.05 * rest)
    assert not refused.is_allowed
    account.granted(Want("flood", budget, 5), Grant(5, 10.0, NEVER, 3600.0), 2.0)
    assert all(account.take(2.0) for _ in range(5)), "nobody waits who asks within the limit"
