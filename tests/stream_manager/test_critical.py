"""CRITICAL: limited by source and in all, never dropped, ordered by need, loud when it waits."""

from __future__ import annotations

import math
import threading
from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock, Monotonic
from emdata.envelope import Accepted
from stream_manager.control.critical import (
    FAR_KM,
    NEAR_KM,
    CriticalGate,
    CriticalLimits,
    CriticalOverflow,
    Rank,
    critical_rank,
    order_critical,
)
from stream_manager.control.nearness import Nearness
from stream_manager.derived.places import Place, Places
from tests.stream_manager.making import AT, accepted, draft
from tests.support.waiting import wait_for


class World:
    """A gate and what it said."""

    def __init__(self, limits: CriticalLimits | None = None) -> None:
        self.paused: list[tuple[str, str]] = []
        self.resumed: list[tuple[str, int]] = []
        self.gate = CriticalGate(
            limits or CriticalLimits(),
            ["nws"],
            on_pause=lambda source, reason: self.paused.append((source, reason)),
            on_resume=lambda source, demoted: self.resumed.append((source, demoted)),
        )

    def flood(self, source: str, count: int, clock: ManualClock, seconds: float) -> int:
        """Offer records evenly and return how many stayed CRITICAL."""
        kept = 0
        for _ in range(count):
            kept += self.gate.admit(source, clock.monotonic())
            clock.advance(seconds / count)
        return kept


def test_a_source_has_100_a_minute_and_then_five_minutes_of_high() -> None:
    world, clock = World(), ManualClock()
    assert world.flood("county", 150, clock, 30) == 100
    assert world.paused == [("county", "its limit of 100 a minute")]
    assert world.flood("county", 100, clock, 200) == 0, "its pause lasts"
    assert world.gate.admit("town", clock.monotonic()), "others go on"
    clock.advance(100)
    world.gate.tick(clock.monotonic())
    assert world.resumed == [("county", 150)]
    assert world.gate.admit("county", clock.monotonic())


def test_a_source_that_keeps_to_its_limit_is_never_paused() -> None:
    world, clock = World(), ManualClock()
    assert world.flood("county", 99 * 10, clock, 600) == 990
    assert world.paused == []


def test_official_sources_have_1000_of_their_own_and_leave_the_common_500_alone() -> None:
    world, clock = World(), ManualClock()
    assert world.flood("nws", 1200, clock, 10) == 1000
    kept = sum(world.flood(f"county{n}", 90, clock, 1) for n in range(8))
    assert kept == 500
    assert [source for source, _ in world.paused] == ["nws", "county5", "county6", "county7"]
    assert world.paused[1][1] == "the common limit of 500 a minute"


SENT = st.lists(
    st.tuples(st.sampled_from(["nws", "a", "b", "c"]), st.integers(0, 8)), min_size=1, max_size=150
)


@given(SENT)
def test_no_minute_holds_more_than_the_limits_and_every_record_is_answered(
    sent: list[tuple[str, int]],
) -> None:
    limits = CriticalLimits(per_source=5, in_all=9, official=12, pause_s=120)
    world, now = World(limits), 0.0
    kept: list[tuple[float, str]] = []
    demoted: Counter[str] = Counter()
    for source, passed in sent:
        now += passed
        if world.gate.admit(source, Monotonic(now)):
            kept.append((now, source))
        else:
            demoted[source] += 1
            assert source in world.gate.paused(Monotonic(now))
    for start, _ in kept:
        window = Counter(source for at, source in kept if start <= at < start + 60)
        assert all(window[source] <= 5 for source in "abc")
        assert window["nws"] <= 12
        assert sum(window[source] for source in "abc") <= 9
    world.gate.tick(Monotonic(now + 120))
    told: Counter[str] = Counter()
    for source, count in world.resumed:
        told[source] += count
    assert told == demoted, "every demoted record is told of"


def test_fault_21_a_pause_of_critical_ends_by_the_monotonic_clock() -> None:
    for jump in (-3600, 86_400):
        world, clock = World(), ManualClock()
        world.flood("county", 101, clock, 1)
        clock.jump_wall(jump)
        clock.advance(298)
        assert not world.gate.admit("county", clock.monotonic())
        clock.advance(3)
        assert world.gate.admit("county", clock.monotonic())


def test_more_than_50_waiting_raise_once_and_end_at_half() -> None:
    overflow = CriticalOverflow(50)
    said = [overflow.note(waiting) for waiting in (10, 50, 51, 300, 52, 26, 49, 51, 25, 0, 51)]
    assert said == [None, None, True, None, None, None, None, None, False, None, True]


@given(st.lists(st.integers(0, 200), max_size=60))
def test_an_overflow_is_raised_and_ended_in_turns(waiting: list[int]) -> None:
    overflow = CriticalOverflow(50)
    said = [change for count in waiting if (change := overflow.note(count)) is not None]
    assert said == [index % 2 == 0 for index in range(len(said))]
    if waiting and waiting[-1] > 50:
        assert overflow.is_raised
        assert overflow.most >= waiting[-1]


def record(number: int, *, at: str = AT, **place: float) -> Accepted:
    made = msgspec.structs.replace(accepted(draft(number, priority=0), seq=number), accepted_at=at)
    return msgspec.structs.replace(made, payload=msgspec.json.encode(place))


def test_near_to_people_goes_first_then_the_large_then_the_old() -> None:
    def nearest(latitude: float, longitude: float) -> float | None:
        return {39: 3.0, 40: 30.0, 41: 300.0}.get(int(latitude))

    far = record(1, point_latitude=41.5, point_longitude=-105.0)
    unknown = record(2)
    middle = record(3, latitude=40.5, longitude=-105.0)
    near = record(4, point_latitude=39.5, point_longitude=-105.0)
    box = {"bbox_west": -105.0, "bbox_east": -104.0, "bbox_south": 39.0, "bbox_north": 40.0}
    near_large = record(5, point_latitude=39.5, point_longitude=-104.5, **box)
    near_old = record(6, at="2026-11-20T09:14:10.000000", latitude=39.1, longitude=-105.0)
    records = [far, unknown, middle, near, near_large, near_old]
    ordered = sorted(records, key=lambda one: critical_rank(one, nearest))
    assert ordered == [near_large, near_old, near, unknown, middle, far]


def test_nearness_to_people_is_not_known_before_the_places_are_loaded() -> None:
    go = threading.Event()

    def load() -> Places:
        go.wait(10)
        return Places([Place(1, "Boulder", "CO", 40.015, -105.27, 100_000)])

    nearness = Nearness(load)
    nearness.start()
    assert nearness(40.0, -105.2) is None
    go.set()
    wait_for(lambda: nearness(40.0, -105.2) is not None, 10, "the places")
    assert nearness(40.0, -105.2) == NEAR_KM
    assert nearness(40.2, -105.2) == FAR_KM
    assert nearness(42.0, -105.2) == math.inf


def test_a_record_whose_place_cannot_be_read_still_has_a_rank() -> None:
    strange = msgspec.structs.replace(record(1), payload=b'{"latitude":"north","bbox_west":[]}')
    assert critical_rank(strange, lambda _a, _b: 1.0)[:2] == (1, 0)


BACKLOG = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 2)), max_size=40
)


@given(BACKLOG)
def test_the_order_of_a_backlog_loses_nothing_and_keeps_the_order_of_every_key(
    backlog: list[tuple[str, int, int]],
) -> None:
    entries = list(enumerate(backlog))

    def rank(entry: tuple[int, tuple[str, int, int]]) -> Rank:
        number, (_, near, size) = entry
        return (near, -size, "", number)

    ordered = order_critical(entries, rank=rank, key=lambda entry: entry[1][0])
    assert sorted(ordered) == entries
    for key in "abc":
        mine = [number for number, (name, _, _) in ordered if name == key]
        assert mine == sorted(mine)
    alone = order_critical(entries, rank=rank, key=lambda entry: entry[0])
    assert alone == sorted(entries, key=rank)
