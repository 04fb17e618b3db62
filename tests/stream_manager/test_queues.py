"""The queues between buffer and Kafka: shares, order, memory."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.base import Priority
from emdata.envelope import Accepted
from stream_manager.buffer import Entry
from stream_manager.queues import PriorityQueues
from tests.stream_manager.making import AT, draft

SHARES = {Priority.CRITICAL: 6, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}


def entry(ordinal: int, priority: int = 3, *, size: int = 100) -> Entry:
    return Entry(1, ordinal, 0, 0, priority, size, accepted(ordinal, priority))


def accepted(ordinal: int, priority: int) -> Accepted:
    return draft(ordinal, priority=priority).accept(writer=1, seq=ordinal + 1, accepted_at=AT)


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 12, 500])
def test_fault_22_shares_of_a_saturated_backlog_are_6_3_2_1_however_small_the_takes(
    limit: int,
) -> None:
    queues = PriorityQueues()
    queues.put(entry(n, n % 4) for n in range(8000))
    taken = [one for _ in range(2400 // limit) for one in queues.take(limit)]
    counts = Counter(one.priority for one in taken)
    for priority, weight in SHARES.items():
        assert abs(counts[priority] / len(taken) - weight / 12) <= 0.02


def test_fault_22_low_is_served_although_critical_never_ends() -> None:
    queues = PriorityQueues()
    queues.put([entry(0, Priority.LOW)])
    for round_ in range(12):
        queues.put(entry(100 * round_ + n, Priority.CRITICAL) for n in range(1, 20))
        if any(one.priority == Priority.LOW for one in queues.take(1)):
            return
    pytest.fail("LOW starved")


@given(st.lists(st.integers(0, 3), max_size=60), st.data())
def test_put_back_keeps_the_order_of_every_priority(
    priorities: list[int], data: st.DataObject
) -> None:
    queues = PriorityQueues()
    queues.put(entry(n, priority) for n, priority in enumerate(priorities))
    out: list[Entry] = []
    while sum(queues.depths().values()):
        taken = queues.take(data.draw(st.integers(1, 20)))
        sent = data.draw(st.integers(0, len(taken)))
        out += taken[:sent]
        queues.put_back(taken[sent:])
        if sent == 0:
            out += queues.take(1)
    for priority in Priority:
        assert [one.ordinal for one in out if one.priority == priority] == [
            n for n, given_ in enumerate(priorities) if given_ == priority
        ]


def test_bytes_beyond_the_bound_are_given_up_and_room_comes_back() -> None:
    queues = PriorityQueues(memory_bytes=1000)
    queues.put(entry(n) for n in range(30))
    first = queues.take(10)
    assert all(one.record is not None for one in first)
    assert all(one.record is None for one in queues.take(20))
    queues.put([entry(50)])
    assert queues.take(1)[0].record is not None
