"""What a process knows of keys: fresh for seconds, kept for when nobody answers, gone when told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from api.access.directory import AWAY_SECONDS, FRESH_SECONDS, _Cache
from emdata.clock import ManualClock
from emdata.errors import StateUnavailable

GRACE = 900.0


class Table:
    """What would be in PostgreSQL."""

    def __init__(self) -> None:
        self.rows = {"a": "first"}
        self.is_away = False
        self.reads = 0
        self.hold: threading.Event | None = None
        self.reading = threading.Event()

    def read(self, name: str) -> str | None:
        self.reads += 1
        if self.is_away:
            raise StateUnavailable("away")
        value = self.rows.get(name)
        self.reading.set()
        if self.hold is not None:
            self.hold.wait(10)
        return value


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(table: Table, clock: ManualClock) -> _Cache[str]:
    return _Cache(table.read, clock, GRACE)


async def test_a_key_is_read_once_while_it_is_fresh_also_that_it_is_not_there(
    cache: _Cache[str], table: Table, clock: ManualClock
) -> None:
    for _ in range(3):
        assert await cache.get("a") == "first"
        assert await cache.get("nowhere") is None
    assert table.reads == 2
    table.rows["a"] = "second"
    clock.advance(FRESH_SECONDS)
    assert await cache.get("a") == "second"


async def test_fault_39_without_a_notice_a_change_is_known_within_the_minute(
    cache: _Cache[str], table: Table, clock: ManualClock
) -> None:
    await cache.get("a")
    del table.rows["a"]
    clock.advance(FRESH_SECONDS)
    assert FRESH_SECONDS < 60
    assert await cache.get("a") is None


async def test_what_was_known_goes_on_without_postgresql_for_the_grace_period_alone(
    cache: _Cache[str], table: Table, clock: ManualClock
) -> None:
    await cache.get("a")
    await cache.get("nowhere")
    table.is_away = True
    clock.advance(FRESH_SECONDS)
    assert await cache.get("a") == "first"
    # That there was no such key says nothing about now.
    with pytest.raises(StateUnavailable):
        await cache.get("nowhere")
    with pytest.raises(StateUnavailable):
        await cache.get("never asked")
    clock.advance(GRACE)
    with pytest.raises(StateUnavailable):
        await cache.get("a")


async def test_postgresql_that_is_away_is_not_asked_by_every_request(
    cache: _Cache[str], table: Table, clock: ManualClock
) -> None:
    table.is_away = True
    for _ in range(20):
        with pytest.raises(StateUnavailable):
            await cache.get("a")
    assert table.reads == 1
    table.is_away = False
    clock.advance(AWAY_SECONDS)
    assert await cache.get("a") == "first"


async def test_a_notice_forgets_what_it_is_about_and_nothing_else(
    cache: _Cache[str], table: Table
) -> None:
    table.rows["b"] = "other"
    await cache.get("a")
    await cache.get("b")
    table.rows.update(a="second", b="newer")
    cache.forget(lambda name, _: name == "a")
    assert (await cache.get("a"), await cache.get("b")) == ("second", "other")
    # What is forgotten is not kept for an outage: it is known to be wrong.
    cache.forget(lambda name, _: name == "a")
    table.is_away = True
    with pytest.raises(StateUnavailable):
        await cache.get("a")


async def test_doubt_asks_again_and_keeps_the_old_for_an_outage(
    cache: _Cache[str], table: Table
) -> None:
    await cache.get("a")
    table.rows["a"] = "second"
    cache.doubt()
    table.is_away = True
    assert await cache.get("a") == "first"


async def test_a_change_during_a_read_is_not_covered_by_what_was_read_before_it(
    cache: _Cache[str], table: Table
) -> None:
    table.hold = threading.Event()
    reading = asyncio.ensure_future(cache.get("a"))
    await asyncio.to_thread(table.reading.wait, 10)
    table.rows["a"] = "second"
    cache.forget(lambda name, _: name == "a")  # the notice comes before the read ends
    table.hold.set()
    assert await reading == "first"
    assert await cache.get("a") == "second"


async def test_made_up_names_do_not_fill_the_memory(
    cache: _Cache[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.access.directory._MOST", 3)
    for number in range(10):
        await cache.get(f"made up {number}")
    assert len(cache._entries) == 3
