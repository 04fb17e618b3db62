"""Letters of clients in degraded mode: a manager drives them, and the ledger stays exact."""

from __future__ import annotations

import asyncio
import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import Engine

from emdata.state import dead_letters as state
from emdata.state.clients import FIRST_CLIENT
from emdata.state.ledger import settle
from tests.stream_manager.door import Door, door, read_topic
from tests.stream_manager.redriving import NOON, World, contract_for, hour
from tests.stream_manager.test_redrive import Table, raise_limit
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
_CLIENTS = itertools.count(FIRST_CLIENT + 7000)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres,kafka") as running:
        yield running


@pytest.fixture
def way(platform: Platform, engine: Engine, tmp_path: Path) -> Iterator[Door]:
    with door(platform, tmp_path / "manager", engine, max_message_bytes="20000") as made:
        yield made


@pytest.fixture
def client(way: Door, engine: Engine, tmp_path: Path) -> Iterator[World]:
    made = Door(tmp_path / "client", engine, way.servers, way.topic, writer=next(_CLIENTS))
    yield World(made, engine)
    made.close()


def manager_for(client: World, way: Door, engine: Engine) -> World:
    """A manager that knows the client's stream and contract."""
    made = World(way, engine)
    made.parser, made.records = client.parser, client.records
    made.make()
    return made


async def test_a_row_of_a_client_moves_to_accepted_in_its_hour(
    client: World, way: Door, engine: Engine
) -> None:
    await client.poll(b"a=1", b"b=~", b"-")
    client.door.wait_delivered()
    client.door.close()
    manager = manager_for(client, way, engine)
    assert await manager.redriver.round() == {"rejected": 1}
    assert await manager.redriver.round() == {}, "not in circles"
    manager.clock.at = NOON
    client.parser.version = 2
    assert await manager.redriver.round() == {"redriven": 1}
    assert client.hours() == [hour("06", 2, parsed=1, ignored=1, records=1, accepted=1)]
    assert manager.hours() == [hour("06", 1, parsed=1, records=1, accepted=1)]
    way.wait_delivered()
    values = read_topic(way.servers, way.topic)
    assert {(one["writer"], one["seq"], one["letter_id"]) for one in values} == {
        (client.door.writer, 1, "a"),
        (way.writer, 1, "b"),
    }
    client.door.open()


async def test_a_record_of_a_client_that_kafka_refused_lands_under_its_own_number(
    client: World, way: Door, engine: Engine
) -> None:
    contract = contract_for(way.topic, is_mended=True)
    client.parser.contract = client.records[contract.dataset.name] = contract
    await client.poll(b"a=1", b"b=" + os.urandom(30_000).hex().encode())
    client.door.wait_delivered()
    await asyncio.to_thread(client.applied)
    (letter,) = client.letters()
    assert (letter["writer"], letter["seq"]) == (client.door.writer, 2)
    manager = manager_for(client, way, engine)
    assert await manager.redriver.round() == {}, "the topic takes no more than before"
    raise_limit(way, "100000")
    assert await manager.redriver.round() == {"redriven": 1}
    assert await manager.redriver.round() == {}
    headers = _headers(way)
    assert len(headers) == 2
    assert headers[-1]["ce_id"] == f"{client.door.writer}-{contract.dataset.name}-2".encode()
    assert headers[-1]["emdata_degraded"] == b"true"
    found = settle(engine, Table({1, 2}), contract, client.door.writer, 2, now=NOON)  # type: ignore[arg-type]
    assert (found.landed, found.dead, found.settled_seq) == (2, 0, 2)


async def test_what_another_manager_wrote_before_a_letter_does_not_replace_it(
    client: World, way: Door, engine: Engine
) -> None:
    manager = manager_for(client, way, engine)
    await manager.poll(b"b=old")
    client.clock.advance(60)
    await client.poll(b"b=~newer")
    client.parser.version = 2
    assert await manager.redriver.round() == {"redriven": 1}
    client.parser.version = 1
    await client.poll(b"b=~again")
    manager.clock.advance(120)
    await manager.poll(b"b=newest")
    client.parser.version = 2
    assert await manager.redriver.round() == {"superseded": 1}


async def test_what_one_manager_has_claimed_another_leaves_alone(
    client: World, way: Door, engine: Engine
) -> None:
    await client.poll(b"b=~")
    ids = [one["id"] for one in client.letters()]

    def claim(writer: int) -> list[str]:
        taken = state.claim(engine, ids, writer=writer, by="test", now=NOON, max_attempts=5)
        return [one.id for one in taken]

    assert claim(way.writer) == ids
    assert claim(way.writer + 1) == []
    assert state.give_back(engine, way.writer + 1) == 0
    assert state.give_back(engine, way.writer) == 1
    assert claim(way.writer + 1) == ids
    assert state.give_back(engine, way.writer + 1) == 1
    manager = manager_for(client, way, engine)
    client.parser.version = 2
    assert await manager.redriver.redrive(ids, by="ada") == {"redriven": 1}


def _headers(way: Door) -> list[dict[str, bytes]]:
    consumer = Consumer(
        {"bootstrap.servers": way.servers, "group.id": uuid.uuid4().hex, "log_level": 0}
    )
    place = TopicPartition(way.topic, 0)
    try:
        begin, end = consumer.get_watermark_offsets(place, timeout=30)
        consumer.assign([TopicPartition(way.topic, 0, begin)])
        found = consumer.consume(end - begin, 30)
        return [dict(one.headers() or []) for one in found]  # type: ignore[arg-type]
    finally:
        consumer.close()
