"""Requests at once: caps of organizations, lanes, and nobody forgotten."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from api.fairness import slots as module
from api.fairness.slots import Crowded, Slots


async def test_an_organization_has_its_cap_and_as_many_may_wait() -> None:
    slots = Slots(100)
    held = [await slots.enter("one", 2, 3) for _ in range(2)]
    waiting = [asyncio.create_task(slots.enter("one", 2, 3)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Crowded) as caught:
        await slots.enter("one", 2, 3)
    assert caught.value.is_own
    other = await slots.enter("other", 2, 3)
    held[0].leave()
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    for slot in (held[1], other, *[task.result() for task in done]):
        slot.leave()
    (await asyncio.wait_for(next(t for t in waiting if t not in done), 1)).leave()
    assert slots._held == {}
    assert slots._working == 0


async def test_lanes_of_a_lower_number_go_first() -> None:
    slots = Slots(1)
    first = await slots.enter("running", 1, 3)
    order: list[str] = []

    async def work(name: str, priority: int) -> None:
        slot = await slots.enter(name, 1, priority)
        order.append(name)
        slot.leave()

    tasks = [asyncio.create_task(work(n, p)) for n, p in (("low", 3), ("high", 0), ("mid", 1))]
    await asyncio.sleep(0)
    first.leave()
    await asyncio.gather(*tasks)
    assert order == ["high", "mid", "low"]


async def test_who_has_enough_lets_others_pass() -> None:
    slots = Slots(2)
    greedy = await slots.enter("greedy", 1, 0)
    other = await slots.enter("other", 1, 3)
    waits = asyncio.create_task(slots.enter("greedy", 1, 0))
    await asyncio.sleep(0)
    behind = asyncio.create_task(slots.enter("third", 1, 3))
    await asyncio.sleep(0)
    other.leave()
    (await asyncio.wait_for(behind, 1)).leave()
    assert not waits.done()
    greedy.leave()
    (await asyncio.wait_for(waits, 1)).leave()


async def test_an_answer_that_begins_frees_the_process_but_not_the_organization() -> None:
    slots = Slots(1)
    slow = await slots.enter("slow reader", 1, 3)
    slow.answered()
    (await slots.enter("other", 1, 3)).leave()
    again = asyncio.create_task(slots.enter("slow reader", 1, 3))
    await asyncio.sleep(0)
    assert not again.done()
    slow.leave()
    slow.leave()
    (await asyncio.wait_for(again, 1)).leave()
    assert (slots._working, slots._held) == (0, {})


async def test_waiting_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    slots = Slots(1)
    held = await slots.enter("one", 1, 3)
    with pytest.raises(Crowded) as caught:
        await slots.enter("two", 1, 3)
    assert not caught.value.is_own
    held.leave()
    assert (slots._queue, slots._queued) == ([], {})


def test_workers_share_the_cap() -> None:
    async def count() -> int:
        slots, got = Slots(100, workers=4), 0
        for _ in range(3):
            await slots.enter("one", 10, 3)
            got += 1
        waits = asyncio.create_task(slots.enter("one", 10, 3))
        await asyncio.sleep(0)
        assert not waits.done()
        waits.cancel()
        return got

    assert asyncio.run(count()) == 3


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_cancelled_no_slot_is_lost(seed: int) -> None:
    random, slots = Random(seed), Slots(3)

    async def work() -> None:
        name = random.choice("abc")
        slot = await slots.enter(name, 2, random.randrange(4))
        try:
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            slot.answered()
            await asyncio.sleep(0)
        finally:
            slot.leave()

    for _ in range(40):
        tasks = [asyncio.create_task(work()) for _ in range(8)]
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)
        for task in tasks:
            if random.random() < 0.4:
                task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            one is None or isinstance(one, asyncio.CancelledError | Crowded) for one in found
        )
        assert (slots._working, slots._held, slots._queued, slots._queue) == (0, {}, {}, [])
