"""The same buckets in a real Redis."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from api.fairness.budget import Budget, Want
from api.fairness.redis_store import RedisStore
from emdata.errors import StateUnavailable
from tests.support.ports import free_ports
from tests.support.programs import find_program
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.system("redis-server")]
MANY = 10**9


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program, (port,) = find_program("redis-server"), free_ports(1)
    folder: Path = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(program), *options], stdout=log, stderr=log)
    try:
        wait_for(lambda: b"Ready to accept" in (folder / "log").read_bytes(), 20, "Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


async def test_a_bucket_gives_what_it_has_and_takes_back(url: str) -> None:
    store, budget = RedisStore(url), Budget(rate=0.001, burst=10, per_day=MANY)
    (first,) = await store.take([Want("one", budget, 7)])
    assert (first.tokens, round(first.left, 1)) == (7, 3.0)
    assert 0 < first.day_seconds <= 86_400
    assert first.day_left == MANY - 7
    (second,) = await store.take([Want("one", budget, 7, returned=2)])
    assert (second.tokens, second.day_left) == (5, MANY - 10)
    (third,) = await store.take([Want("one", budget, 1)])
    assert third.tokens == 0
    assert 0 <= third.left < 1
    await store.close()


async def test_a_bucket_fills_by_the_clock_of_the_server(url: str) -> None:
    store, budget = RedisStore(url), Budget(rate=1000.0, burst=50, per_day=MANY)
    assert (await store.take([Want("fills", budget, 50)]))[0].tokens == 50

    async def given() -> int:
        return (await store.take([Want("fills", budget, 1)]))[0].tokens

    tries = 1
    while not await given():
        tries += 1
        assert tries < 10_000
    await store.close()


async def test_a_day_ends_what_a_bucket_gives(url: str) -> None:
    store, budget = RedisStore(url), Budget(rate=100.0, burst=50, per_day=8)
    grants = await store.take([Want("day", budget, 5), Want("day", budget, 5)])
    assert [grant.tokens for grant in grants] == [5, 3]
    (spent,) = await store.take([Want("day", budget, 0, spent=4)])
    assert spent.day_left == 0
    assert (await store.take([Want("day", budget, 1)]))[0].tokens == 0
    await store.close()


async def test_many_buckets_in_one_call_keep_their_order(url: str) -> None:
    store = RedisStore(url)
    wants = [Want(f"order-{n}", Budget(1.0, n, MANY), 100) for n in (5, 3, 9, 1)]
    assert [grant.tokens for grant in await store.take(wants)] == [5, 3, 9, 1]
    await store.close()


async def test_the_salt_of_a_day_is_shared_and_expires(url: str) -> None:
    one, other = RedisStore(url), RedisStore(url)
    first = await one.salt(date(2026, 1, 1))
    assert await other.salt(date(2026, 1, 1)) == first
    assert await one.salt(date(2026, 1, 2)) != first
    seconds = await one._redis.ttl("emdata:api:salt:2026-01-01")
    assert 0 < seconds <= 86_400 + 3600
    await one.close()
    await other.close()


async def test_a_redis_that_is_not_there_is_said_by_its_error() -> None:
    store = RedisStore("redis://127.0.0.1:1/0")
    with pytest.raises(StateUnavailable, match="Redis"):
        await store.take([Want("one", Budget(1.0, 1, 1), 1)])
    with pytest.raises(StateUnavailable, match="Redis"):
        await store.prune()
    await store.close()
