"""The queues between buffer and Kafka: shares, order, memory."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from stream_manager.buffer import Run
from stream_manager.buffer.blocks import Place
from stream_manager.delivery.queues import HIGH_AFTER, NORMAL_AFTER, PriorityQueues
from tests.stream_manager.making import block, draft

SHARES = {Priority.CRITICAL: 6, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}


def run(
    ordinal: int,
    priority: int = 3,
    *,
    size: int = 100,
    count: int = 1,
    tenant: str = "public",
    at: float = 0.0,
) -> Run:
    """Return records whose first has an ordinal, as they come from the log."""
    one = draft(ordinal, priority=priority)
    made = block(*[msgspec.structs.replace(one, tenant=tenant)] * count)
    return Run(Place(1, 0, 0, ordinal), made.head, priority, range(count), at, size, made)


def new_queues(memory_bytes: int = 64 << 20) -> PriorityQueues:
    return PriorityQueues(ManualClock(), memory_bytes)


def records_of(runs: list[Run]) -> Counter[Priority]:
    counts: Counter[Priority] = Counter()
    for one in runs:
        counts[Priority(one.priority)] += len(one)
    return counts


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 12, 500])
def test_fault_22_shares_of_a_saturated_backlog_are_6_3_2_1_however_small_the_takes(
    limit: int,
) -> None:
    queues = new_queues()
    queues.put(run(n, n % 4) for n in range(8000))
    taken = [one for _ in range(2400 // limit) for one in queues.take(limit)]
    counts = records_of(taken)
    for priority, weight in SHARES.items():
        assert abs(counts[priority] / counts.total() - weight / 12) <= 0.02


def test_fault_22_shares_count_records_and_not_batches() -> None:
    queues = new_queues()
    queues.put(run(10_000 * n, n % 4, count=1 + 37 * (n % 5)) for n in range(2000))
    taken = []
    while all(queues.depths().values()):
        taken += queues.take(500)
    counts = records_of(taken)
    for priority, weight in SHARES.items():
        assert abs(counts[priority] / counts.total() - weight / 12) <= 0.02


def test_fault_22_low_acts_as_normal_at_five_minutes_and_as_high_at_ten() -> None:
    for age, share in ((0.0, 1 / 12), (NORMAL_AFTER, 2 / 12), (HIGH_AFTER, 3.5 / 12)):
        clock = ManualClock()
        queues = PriorityQueues(clock)
        queues.put(run(n, Priority.LOW, count=10, at=clock.seconds) for n in range(4000))
        clock.advance(age)
        queues.put(
            run(n, priority, count=10, at=clock.seconds)
            for n in range(4000)
            for priority in (Priority.CRITICAL, Priority.HIGH, Priority.NORMAL)
        )
        counts = records_of(queues.take(12_000))
        assert abs(counts[Priority.LOW] / counts.total() - share) <= 0.02, age


def test_fault_21_a_jump_of_the_wall_clock_promotes_nothing() -> None:
    clock = ManualClock()
    queues = PriorityQueues(clock)
    queues.put([run(1, Priority.LOW, at=clock.seconds), run(2, Priority.NORMAL, at=clock.seconds)])
    clock.jump_wall(86_400)
    assert [one.priority for one in queues.take(2)] == [Priority.NORMAL, Priority.LOW]
    assert queues.oldest() == {}


def test_a_flood_of_one_tenant_leaves_another_its_turns() -> None:
    queues = new_queues()
    queues.put(run(1000 * n, count=1000, tenant="loud") for n in range(50))
    queues.put(run(n, tenant="quiet") for n in range(500))
    taken = queues.take(1000)
    quiet = sum(len(one) for one in taken if one.tenant == "quiet")
    assert 400 <= quiet <= 600
    assert queues.waiting("loud") == 50_000 - (1000 - quiet)


def test_only_what_is_urgent_enough_is_taken_while_the_rest_must_wait() -> None:
    queues = new_queues()
    queues.put([run(1, Priority.LOW), run(2, Priority.CRITICAL), run(3, Priority.HIGH)])
    assert [one.place.base for one in queues.take(10, Priority.CRITICAL)] == [2]
    assert [one.place.base for one in queues.take(10)] == [3, 1]


def test_fault_22_low_is_served_although_critical_never_ends() -> None:
    queues = new_queues()
    queues.put([run(0, Priority.LOW)])
    for round_ in range(12):
        queues.put(run(100 * round_ + n, Priority.CRITICAL) for n in range(1, 20))
        if any(one.priority == Priority.LOW for one in queues.take(1)):
            return
    pytest.fail("LOW starved")


@given(st.lists(st.integers(0, 3), max_size=60), st.data())
def test_put_back_keeps_the_order_of_every_priority(
    priorities: list[int], data: st.DataObject
) -> None:
    queues = new_queues()
    queues.put(run(n, priority) for n, priority in enumerate(priorities))
    out: list[Run] = []
    while sum(queues.depths().values()):
        taken = queues.take(data.draw(st.integers(1, 20)))
        sent = data.draw(st.integers(0, len(taken)))
        out += taken[:sent]
        queues.put_back(taken[sent:])
        if sent == 0:
            out += queues.take(1)
    for priority in Priority:
        assert [one.place.base for one in out if one.priority == priority] == [
            n for n, given_ in enumerate(priorities) if given_ == priority
        ]


@given(st.lists(st.integers(0, 3), max_size=40), st.data())
def test_what_comes_back_in_parts_is_served_in_the_order_of_the_log(
    priorities: list[int], data: st.DataObject
) -> None:
    queues = new_queues()
    queues.put(run(n, priority) for n, priority in enumerate(priorities))
    taken = queues.take(data.draw(st.integers(0, 40)))
    cut = data.draw(st.integers(0, len(taken)))
    queues.put_back(taken[:cut])
    queues.put_back(taken[cut:])
    out = [one for _ in range(41) for one in queues.take(1)]
    assert len(out) == len(priorities)
    for priority in Priority:
        bases = [one.place.base for one in out if one.priority == priority]
        assert bases == sorted(bases)


def test_bytes_beyond_the_bound_are_given_up_and_room_comes_back() -> None:
    queues = new_queues(memory_bytes=1000)
    queues.put(run(n) for n in range(30))
    first = queues.take(10)
    assert all(one.block is not None for one in first)
    assert all(one.block is None for one in queues.take(20))
    queues.put([run(50)])
    assert queues.take(1)[0].block is not None
