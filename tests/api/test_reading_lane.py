"""Who gets a free connection."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import Problem
from api.reading.lane import LANE_SECONDS, Lane


async def _enter(lane: Lane, priority: int, name: str, order: list[str]) -> None:
    async with lane.place(priority, 5):
        order.append(name)
        await asyncio.sleep(0)


def test_a_free_place_goes_to_the_first_lane_and_within_it_to_the_first_that_came() -> None:
    async def run() -> list[str]:
        lane, order = Lane(1), list[str]()
        async with lane.place(0, 1):
            waiting = [
                asyncio.create_task(_enter(lane, priority, name, order))
                for priority, name in ((3, "public"), (0, "office"), (3, "lab"), (1, "county"))
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(run()) == ["office", "county", "public", "lab"]


def test_a_lane_behind_is_not_starved_by_those_before() -> None:
    async def run() -> list[str]:
        lane, order = Lane(1), list[str]()
        loop = asyncio.get_running_loop()
        async with lane.place(0, 1):
            last = asyncio.create_task(_enter(lane, 1, "public", order))
            await asyncio.sleep(0)
            came = loop.time()
            # Whoever comes later than the lane's worth of waiting stands behind.
            while loop.time() < came + LANE_SECONDS:
                await asyncio.sleep(LANE_SECONDS / 5)
            office = asyncio.create_task(_enter(lane, 0, "office", order))
            await asyncio.sleep(0)
        await asyncio.gather(last, office)
        return order

    assert asyncio.run(run()) == ["public", "office"]


def test_waiting_ends_with_a_problem_and_loses_no_place() -> None:
    async def run() -> None:
        lane = Lane(1)
        async with lane.place(0, 1):
            with pytest.raises(Problem, match="busy") as busy:
                async with lane.place(0, 0.01):
                    raise AssertionError("there is no place")
            assert busy.value.headers["Retry-After"]
            given_up = asyncio.create_task(_enter(lane, 0, "gone", []))
            await asyncio.sleep(0)
            given_up.cancel()
        order: list[str] = []
        await asyncio.wait_for(_enter(lane, 0, "next", order), 1)
        assert order == ["next"]

    asyncio.run(run())
