"""What the limiter asks of its store, for whom together, and what it does without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from api.fairness.budget import Budget
from api.fairness.limiter import ACCOUNTS, Limiter
from api.fairness.networks import Networks
from emdata.clock import ManualClock, SystemClock
from tests.api.fairness.memory_store import MemoryStore

MANY = 10**9
CLIENT = {"client": ("192.0.2.7", 1), "headers": ()}


@asynccontextmanager
async def running(
    store: MemoryStore, networks: Networks | None = None, workers: int = 1
) -> AsyncIterator[Limiter]:
    clock = SystemClock()
    limiter = Limiter(store, networks or Networks(clock), clock, workers)
    await limiter.start()
    try:
        yield limiter
    finally:
        await limiter.stop()


async def test_requests_that_come_together_share_one_call() -> None:
    store = MemoryStore(SystemClock())
    async with running(store) as limiter:
        await limiter.take("warm", Budget(1.0, 5, MANY))
        calls = store.calls
        budget = Budget(10.0, 40, MANY)
        found = await asyncio.gather(*[limiter.take(f"k{n % 8}", budget) for n in range(80)])
        assert all(one.is_allowed for one in found)
        assert store.calls - calls <= 4


async def test_a_bucket_is_never_passed_by_requests_that_come_together() -> None:
    async with running(MemoryStore(SystemClock())) as limiter:
        budget = Budget(0.001, 17, MANY)
        found = await asyncio.gather(*[limiter.take("one", budget) for _ in range(100)])
        assert sum(one.is_allowed for one in found) == 17
        refused = [one for one in found if not one.is_allowed]
        assert {one.limit for one in refused} == {"minute"}
        assert all(one.seconds > 100 for one in refused)


async def test_while_the_store_is_away_requests_go_on_without_asking_it() -> None:
    store = MemoryStore(SystemClock())
    async with running(store, workers=2) as limiter:
        store.is_away = True
        budget = Budget(0.001, 20, MANY)
        found = [await limiter.take("one", budget) for _ in range(15)]
        assert sum(one.is_allowed for one in found) == 10
        assert not limiter.is_shared
        calls = store.calls
        await limiter.take("two", budget)
        assert store.calls == calls


async def test_accounts_in_memory_are_bounded() -> None:
    async with running(MemoryStore(SystemClock())) as limiter:
        budget = Budget(1.0, 1, MANY)
        for number in range(ACCOUNTS + 10):
            limiter._account(f"network:{number}", budget, 0.0)
        assert len(limiter._accounts) == ACCOUNTS


async def test_the_salt_of_the_day_comes_from_the_store() -> None:
    clock = ManualClock(datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC))
    networks, other = Networks(clock), Networks(clock)
    assert networks.name(CLIENT) != other.name(CLIENT), "each process has its own until then"
    store = MemoryStore(SystemClock())
    async with running(store, networks) as limiter, running(store, other):
        await limiter.take("one", Budget(1.0, 1, 1))
        async with asyncio.timeout(5):
            while networks.needs_salt() or other.needs_salt():
                await asyncio.sleep(0.01)
        today = networks.name(CLIENT)
        assert today == other.name(CLIENT)
        clock.jump_wall(1.0)
        assert networks.name(CLIENT) != today, "yesterday's salt ended with its day"


def test_a_network_is_named_alike_all_day_and_otherwise_the_next() -> None:
    clock = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))
    networks = Networks(clock)
    name = networks.name(CLIENT)
    assert name == networks.name({"client": ("192.0.2.250", 2), "headers": ()})
    assert name == networks.name({"client": ("::ffff:192.0.2.9", 2), "headers": ()})
    assert name != networks.name({"client": ("192.0.3.7", 2), "headers": ()})
    assert "192.0.2" not in name
    day = clock.now().date()
    networks.use(day, b"shared")
    assert networks.name(CLIENT) != name
    clock.jump_wall(86_400)
    after = networks.name(CLIENT)
    networks.use(day, b"shared")
    assert networks.name(CLIENT) == after, "the salt of a day that is over is not taken again"
    clock.jump_wall(-86_400)
    assert networks.name(CLIENT) not in (name, after)
