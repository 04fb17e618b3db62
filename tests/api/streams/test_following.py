"""Listeners of a real broker: each message once, whatever happens to them and to it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from api.access.caller import Caller, Policy, anonymous
from api.problems import Problem
from api.streams.following import Connection, Follower, Gap
from api.streams.hub import Hub, HubLimits
from api.streams.position import Position
from api.streams.ring import Entry
from api.streams.session import Ending, Form, Session
from api.streams.tail import TailConfig
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PARTITIONS = 3


class Topic:
    """A topic of our own in a real broker."""

    def __init__(self, platform: Platform, name: str, partitions: int = PARTITIONS) -> None:
        self.servers = platform.settings.kafka_servers
        self.name, self._partitions = name, partitions
        self._admin = AdminClient({"bootstrap.servers": self.servers})
        self._producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 0})
        self._sent = 0
        self.make()

    def make(self) -> None:
        made = self._admin.create_topics([NewTopic(self.name, self._partitions, 1)])
        made[self.name].result(30)

    def remove(self) -> None:
        self._admin.delete_topics([self.name])[self.name].result(30)
        wait_for(lambda: self.name not in self._admin.list_topics(timeout=5).topics, 30, "removal")

    def send(self, count: int) -> list[int]:
        """Send numbered messages to random partitions; returns their numbers."""
        numbers = list(range(self._sent, self._sent + count))
        for number in numbers:
            partition = random.Random(number).randrange(self._partitions)
            self._producer.produce(
                self.name, json.dumps({"n": number}).encode(), partition=partition
            )
        assert self._producer.flush(60) == 0
        self._sent += count
        return numbers


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform("kafka") as running:
        yield running


@pytest.fixture
async def hub(platform: Platform) -> AsyncIterator[Hub]:
    made = Hub(TailConfig(platform.settings.kafka_servers, most=50), HubLimits(most_of_one=3))
    yield made
    made.close()


def numbers(entries: Any) -> list[int]:
    return [entry.values["n"] for entry in entries]


async def take(follower: Follower, count: int, *, within: float = 60.0) -> list[Entry]:
    """Return the next entries, at least ``count``."""
    found: list[Entry] = []
    async with asyncio.timeout(within), aclosing(follower.happenings()) as happenings:
        async for happening in happenings:
            if not isinstance(happening, Connection | Gap):
                found += happening
            if len(found) >= count:
                break
    return found


async def test_every_listener_gets_each_message_once_and_resumes_where_it_stopped(
    platform: Platform, hub: Hub
) -> None:
    topic = Topic(platform, "resuming")
    follower = await hub.follow(topic.name, None)
    sent = await asyncio.to_thread(topic.send, 400)
    first = await take(follower, 120)
    # From any event on, through what the ring has forgotten and what it still has.
    for at in (0, 7, len(first) - 1):
        place = first[at].position
        again = await hub.follow(topic.name, Position.parse(str(place)))
        rest = await take(again, 400 - at - 1)
        assert Counter(numbers(first[: at + 1]) + numbers(rest)) == Counter(sent)
        by_partition: dict[int, list[int]] = {}
        for entry in rest:
            by_partition.setdefault(entry.read.partition, []).append(entry.read.offset)
        assert all(offsets == sorted(offsets) for offsets in by_partition.values())


async def test_a_slow_listener_loses_nothing_though_the_ring_forgets(
    platform: Platform, hub: Hub
) -> None:
    topic = Topic(platform, "slow")
    follower = await hub.follow(topic.name, None)
    found: list[int] = []
    async with asyncio.timeout(120), aclosing(follower.happenings()) as happenings:
        for _ in range(5):
            # It takes one chunk only while the others pass the ring by.
            await asyncio.to_thread(topic.send, 300)
            happening = await anext(happenings)
            while isinstance(happening, Connection):
                happening = await anext(happenings)
            assert not isinstance(happening, Gap)
            found += numbers(happening)
        while len(found) < 1500:
            happening = await anext(happenings)
            assert not isinstance(happening, Gap)
            if not isinstance(happening, Connection):
                found += numbers(happening)
    assert Counter(found) == Counter(range(1500))


async def test_a_killed_broker_costs_a_listener_nothing(platform: Platform, hub: Hub) -> None:
    topic = Topic(platform, "killed")
    follower = await hub.follow(topic.name, None)
    found: list[int] = []
    states: list[bool] = []
    async with asyncio.timeout(200), aclosing(follower.happenings()) as happenings:
        await asyncio.to_thread(topic.send, 20)
        while len(found) < 20:
            happening = await anext(happenings)
            if not isinstance(happening, Connection | Gap):
                found += numbers(happening)
        old = await asyncio.to_thread(platform.kill, "kafka")
        while False not in states:
            happening = await anext(happenings)
            assert isinstance(happening, Connection), happening
            states.append(happening.is_connected)
        await asyncio.to_thread(platform.wait_restarted, "kafka", old, timeout=120)
        await asyncio.to_thread(topic.send, 20)
        while len(found) < 40:
            happening = await anext(happenings)
            assert not isinstance(happening, Gap)
            if isinstance(happening, Connection):
                states.append(happening.is_connected)
            else:
                found += numbers(happening)
    assert Counter(found) == Counter(range(40))
    assert states[-1] is True


async def test_a_topic_made_anew_is_a_gap_and_not_silence(platform: Platform, hub: Hub) -> None:
    topic = Topic(platform, "anew", partitions=1)
    await asyncio.to_thread(topic.send, 30)
    follower = await hub.follow(topic.name, None)
    place = str(follower.position)
    assert place == "0:30"
    await asyncio.to_thread(topic.remove)
    await asyncio.to_thread(topic.make)
    await asyncio.to_thread(topic.send, 5)
    gaps: list[Gap] = []
    found: list[int] = []
    fresh = Hub(TailConfig(platform.settings.kafka_servers), HubLimits())
    try:
        back = await fresh.follow(topic.name, Position.parse(place))
        async with asyncio.timeout(60), aclosing(back.happenings()) as happenings:
            while len(found) < 5:
                happening = await anext(happenings)
                if isinstance(happening, Gap):
                    gaps.append(happening)
                elif not isinstance(happening, Connection):
                    found += numbers(happening)
    finally:
        fresh.close()
    assert found == [30, 31, 32, 33, 34]
    assert [(gap.asked, gap.first) for gap in gaps] == [(30, 0)]


async def test_who_is_cut_at_the_limit_resumes_with_the_next_item(
    platform: Platform, hub: Hub
) -> None:
    topic = Topic(platform, "limited", partitions=1)
    await asyncio.to_thread(topic.send, 25)
    form: Form[list[Any]] = Form(
        lambda entry: [entry.values["n"]],
        lambda name, _data, place: [(name, place)],
        lambda parts: [one for part in parts for one in part],
    )
    seen: list[int] = []
    place = "0:0"
    while len(seen) < 25:
        follower = await hub.follow(topic.name, Position.parse(place))
        session = Session(follower, lambda _values: True, form, Ending(items=4, seconds=30), {})
        parts = [one async for part in session.events() for one in part]
        seen += [one for one in parts if isinstance(one, int)]
        assert parts[-1][0] == "end"
        place = parts[-1][1]
        if len(seen) == 24:
            break
    assert seen == list(range(24))


async def test_one_organization_does_not_take_all_streams(hub: Hub) -> None:
    other = Caller("county", "government", Policy("government"))
    with hub.admitted(anonymous()), hub.admitted(anonymous()), hub.admitted(anonymous()):
        with pytest.raises(Problem) as problem, hub.admitted(anonymous()):
            pass
        assert problem.value.status == 429
        assert problem.value.headers["Retry-After"]
        with hub.admitted(other):
            assert hub.open_streams == 4
    assert hub.open_streams == 0


async def test_a_broker_that_is_away_is_a_problem_that_says_when_to_come_back() -> None:
    hub = Hub(TailConfig("127.0.0.1:1"), HubLimits())
    try:
        with pytest.raises(Problem) as problem:
            await hub.follow("anything", None)
    finally:
        hub.close()
    assert problem.value.status == 503
    assert problem.value.headers["Retry-After"]
