"""Limits that several processes share by a real PostgreSQL, and what they do when it is away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest

from api.fairness.budget import Budget, Want
from api.fairness.limiter import Limiter
from api.fairness.networks import Networks
from api.fairness.stores import PostgresStore
from emdata.clock import SystemClock
from emdata.errors import StateUnavailable
from emdata.settings import REPOSITORY
from emdata.state import upgrade
from runtime.services.postgres import dsn as libpq
from runtime.tasks import state_dsn
from tests.support.platform import Platform, running_platform
from tests.support.ports import free_ports
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]
MANY = 1_000_000


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform("postgres") as started:
        upgrade(state_dsn(started.context))
        yield started


@pytest.fixture
def dsn(platform: Platform) -> str:
    return state_dsn(platform.context)


def through(port: int, platform: Platform) -> str:
    """PostgreSQL's address by way of a proxy."""
    return libpq(platform.context).replace(
        f"port={platform.settings.postgres_port}", f"port={port}"
    )


async def until(predicate: Callable[[], bool], what: str, timeout: float = 15) -> None:
    """Wait for a condition without holding up the event loop."""
    await asyncio.to_thread(wait_for, predicate, timeout, what)


def takers(dsn: str, key: str, *, count: int, **asked: float) -> list[dict[str, Any]]:
    """Run several takers of one bucket side by side; what each says."""
    names = ("per_minute", "burst", "per_day", "workers", "seconds", "per_second")
    values = {"per_day": MANY, "workers": count, "per_second": 0, **asked}
    arguments = [dsn, key, *[str(values[name]) for name in names]]

    def run(_: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.api.fairness.taker", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_processes_together_take_what_the_bucket_gives_and_hardly_more(dsn: str) -> None:
    begun = time.monotonic()
    found = takers(dsn, "shared", count=3, per_minute=6000, burst=200, seconds=6, per_second=100)
    lasted = time.monotonic() - begun
    total = sum(one["allowed"] for one in found)
    assert all(one["is_shared"] for one in found)
    # They start one after the other, so the bucket gives for the whole time, and asks for six.
    assert 0.75 * (200 + 100 * 6) <= total <= 1.05 * (200 + 100 * lasted)
    assert all(one["allowed"] > 0.1 * total for one in found), "one process got nearly nothing"


def test_most_requests_cost_no_round_trip(dsn: str) -> None:
    (found,) = takers(dsn, "cost", count=1, per_minute=600_000, burst=5000, seconds=2)
    assert found["allowed"] > 5000
    assert found["mean_ms"] < 0.3, found


def test_a_quota_of_a_day_is_not_passed_by_one(dsn: str) -> None:
    asked = {"per_minute": 60_000, "burst": 1000, "per_day": 500, "seconds": 3, "per_second": 200}
    found = takers(dsn, "daily", count=2, **asked)
    assert sum(one["allowed"] for one in found) <= 500
    assert sum(one["allowed"] for one in found) >= 450
    assert min(one["refused"] for one in found) > 0


def test_what_a_stopped_process_did_not_spend_is_there_for_others(dsn: str) -> None:
    takers(dsn, "stopped", count=1, per_minute=1, burst=100, seconds=0.2, per_second=50)
    with psycopg.connect(dsn.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT tokens, used FROM api_buckets WHERE key = 'stopped'"
        ).fetchone()
    assert row is not None
    assert row[0] + row[1] == pytest.approx(100, abs=0.1), "tokens were lost or made"
    assert row[1] <= 12


async def test_a_bucket_is_refilled_by_the_clock_of_the_store(dsn: str) -> None:
    store = PostgresStore(dsn)
    budget = Budget(rate=5.0, burst=10, per_day=MANY)
    (first,) = await store.take([Want("refilled", budget, 50)])
    assert (first.tokens, first.left) == (10, 0.0)
    assert 0 < first.day_seconds <= 86_400
    with psycopg.connect(dsn.replace("+psycopg", ""), autocommit=True) as connection:
        past = "UPDATE api_buckets SET refilled_at = refilled_at - interval '1 second'"
        connection.execute(past + " WHERE key = 'refilled'")
        (second,) = await store.take([Want("refilled", budget, 50)])
        assert second.tokens == 5
        # A clock that was set back makes no tokens, and takes none.
        future = "UPDATE api_buckets SET refilled_at = refilled_at + interval '1 hour'"
        connection.execute(future + " WHERE key = 'refilled'")
        (third,) = await store.take([Want("refilled", budget, 50)])
        assert third.tokens == 0
        assert third.left >= 0
        yesterday = "UPDATE api_buckets SET used_on = used_on - 1, used = 999999"
        connection.execute(yesterday + " WHERE key = 'refilled'")
        (fourth,) = await store.take([Want("refilled", budget, 0)])
        assert fourth.day_left == MANY
    await store.close()


async def test_answers_come_in_the_order_of_the_wants(dsn: str) -> None:
    store = PostgresStore(dsn)
    wants = [Want(f"order-{n}", Budget(1.0, n, MANY), 100) for n in (5, 3, 9, 1)]
    assert [grant.tokens for grant in await store.take(wants)] == [5, 3, 9, 1]
    assert await store.take([]) == []
    await store.close()


async def test_the_salt_of_a_day_is_shared_and_the_one_before_destroyed(dsn: str) -> None:
    one, other = PostgresStore(dsn), PostgresStore(dsn)
    first = await one.salt(date(2026, 1, 1))
    assert await other.salt(date(2026, 1, 1)) == first
    assert len(first) == 32
    second = await one.salt(date(2026, 1, 2))
    assert second != first
    with psycopg.connect(dsn.replace("+psycopg", "")) as connection:
        days = connection.execute("SELECT day FROM api_salts ORDER BY day").fetchall()
        assert (date(2026, 1, 1),) not in days
        assert (date(2026, 1, 2),) in days
    await one.close()
    await other.close()


async def test_without_postgresql_each_process_gives_its_part_and_shares_again(
    platform: Platform,
) -> None:
    with proxy_to(platform.settings.postgres_port) as proxy:
        limiter = Limiter(
            PostgresStore(through(proxy.port, platform)), Networks(SystemClock()), SystemClock(), 4
        )
        await limiter.start()
        budget = Budget(rate=0.01, burst=40, per_day=MANY)
        assert (await limiter.take("before", budget)).is_allowed
        assert limiter.is_shared
        (proxy.target,) = free_ports(1)
        proxy.drop()
        taken = [await limiter.take("away", budget) for _ in range(40)]
        assert not limiter.is_shared
        assert sum(one.is_allowed for one in taken) == 10
        assert taken[-1].limit == "minute"
        proxy.target = platform.settings.postgres_port
        await until(lambda: limiter.is_shared, "the store to be found again")
        assert (await limiter.take("after", budget)).is_allowed
        await limiter.stop()


async def test_a_store_that_hangs_costs_a_request_half_a_second_once(platform: Platform) -> None:
    with proxy_to(platform.settings.postgres_port) as proxy:
        limiter = Limiter(
            PostgresStore(through(proxy.port, platform)), Networks(SystemClock()), SystemClock()
        )
        await limiter.start()
        budget = Budget(rate=10.0, burst=40, per_day=MANY)
        assert (await limiter.take("warm", budget)).is_allowed
        proxy.hang()
        begun = time.monotonic()
        assert (await limiter.take("hung", budget)).is_allowed
        assert time.monotonic() - begun < 1.5
        begun = time.monotonic()
        assert (await limiter.take("hung", budget)).is_allowed
        assert time.monotonic() - begun < 0.1
        await limiter.stop()


async def test_a_store_that_is_not_there_is_said_by_its_error() -> None:
    store = PostgresStore("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StateUnavailable, match="PostgreSQL"):
        await store.take([])
