"""Dead letters driven again, on a real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from emdata.state import dead_letters as state
from emdata.state.dead_letters import Filter, drop_letters, find_letters, show_letter
from emdata.state.ledger import settle
from emdata.state.requests import ask_polls, wait_for
from stream_manager.polls.prepared import Keys
from stream_manager.polls.session import PollSession
from stream_manager.requests import RequestListener
from tests.stream_manager.door import Door, begin, door, end, read_topic
from tests.stream_manager.redriving import NOON, World, contract_for, hour
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres,kafka") as running:
        yield running


@pytest.fixture
def way(platform: Platform, engine: Engine, tmp_path: Path) -> Iterator[Door]:
    with door(platform, tmp_path, engine, max_message_bytes="20000") as made:
        yield made


@pytest.fixture
def world(way: Door, engine: Engine) -> World:
    return World(way, engine)


def delivered(world: World) -> dict[int, str]:
    """What Kafka holds, by sequence number; the same number must always hold the same."""
    world.door.wait_delivered()
    found: dict[int, str] = {}
    for value in read_topic(world.door.servers, world.door.topic):
        assert found.setdefault(value["seq"], value["letter_id"]) == value["letter_id"]
    return found


async def test_a_mended_row_moves_to_accepted_in_the_hour_in_which_it_was_rejected(
    world: World,
) -> None:
    await world.poll(b"a=1", b"b=~", b"-")
    assert world.hours() == [hour("06", 3, rejected=1, parsed=1, ignored=1, records=1, accepted=1)]
    world.clock.at = NOON
    world.parser.version = 2
    assert await world.redriver.round() == {"redriven": 1}
    assert world.hours() == [hour("06", 3, parsed=2, ignored=1, records=2, accepted=2)]
    assert set(delivered(world).values()) == {"a", "b"}
    (letter,) = world.letters()
    assert (letter["state"], letter["attempts"], letter["class"]) == ("redriven", 1, "permanent")


async def test_fault_29_a_letter_driven_twice_is_taken_once(world: World) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2
    (letter,) = world.letters()
    assert await world.redriver.redrive([letter["id"]], by="ada") == {"redriven": 1}
    assert await world.redriver.redrive([letter["id"]], by="ada") == {}
    assert await world.redriver.round() == {}
    assert len(delivered(world)) == 1
    assert world.history() == [("ada", "redrive", "redriven")]


async def test_a_row_that_a_newer_poll_took_meanwhile_counts_as_unchanged(world: World) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2
    await world.poll(b"b=~")
    assert await world.redriver.round() == {"redriven": 1}
    assert world.hours() == [hour("06", 2, parsed=2, records=2, accepted=1, unchanged=1)]
    assert len(delivered(world)) == 1


async def test_older_content_of_a_key_without_a_version_never_replaces_newer(world: World) -> None:
    await world.poll(b"b=~old")
    world.clock.advance(60)
    await world.poll(b"b=new")
    world.parser.version = 2
    assert await world.redriver.round() == {"superseded": 1}
    assert world.hours()[0]["rejected"] == 1
    assert [one["state"] for one in world.letters()] == ["dropped"]
    assert len(delivered(world)) == 1


async def test_an_older_version_joins_the_history_and_polls_go_on_comparing_with_the_newest(
    world: World,
) -> None:
    contract = contract_for(world.door.topic, version="text")
    world.parser.contract = world.records[contract.dataset.name] = contract
    await world.poll(b"b=1~")
    world.clock.advance(60)
    await world.poll(b"b=2")
    newest = world.parser.parse(b"b=2")[0]
    await world.manager.load_dataset(contract.dataset.name)
    world.parser.version = 2
    assert await world.redriver.round() == {"redriven": 1}
    assert len(delivered(world)) == 2
    known = world.manager.seen.content(contract.dataset.name, newest.key_hash())
    assert known == newest.content_hash()
    (row,) = world.rows(
        f"SELECT version, content_hash FROM seen WHERE dataset = '{contract.dataset.name}'"
    )
    assert (row["version"], bytes(row["content_hash"])) == ("2", newest.content_hash())


async def test_a_parser_that_breaks_costs_its_letter_an_attempt_and_is_not_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.poll(b"b=~", b"c=~")
    world.parser.version = 2

    def crash(_parser: object, raw: bytes) -> list[object]:
        world.parser.asked.append(raw)
        raise MemoryError("a row of ten gigabytes")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.parser), "parse", crash)
        assert await world.redriver.round() == {"rejected": 1}
        asked = len(world.parser.asked)
        assert await world.redriver.round() == {}
        assert len(world.parser.asked) == asked
    assert sorted(one["attempts"] for one in world.letters()) == [0, 1]


async def test_a_round_that_crashes_gives_its_letters_back_and_the_next_one_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2
    world.clock.at = NOON
    monkeypatch.setattr("stream_manager.dead_letters.redrive.LOOK_SECONDS", 0.05)
    calls: list[int] = []
    plan = state.plan

    def crash(*arguments: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        plan(*arguments, **more)

    monkeypatch.setattr(state, "plan", crash)
    world.redriver._config = replace(world.redriver._config, every_seconds=0.01)
    running = asyncio.create_task(world.redriver.run())
    try:
        async with asyncio.timeout(30):
            while [one["state"] for one in world.letters()] != ["redriven"]:
                world.clock.advance(1)
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
    assert [outcome for _, _, outcome in world.history()] == ["interrupted", "redriven"]


async def test_a_letter_that_fails_again_is_left_alone_until_its_code_is_another(
    world: World,
) -> None:
    await world.poll(b"b=~")
    (letter,) = world.letters()
    assert await world.redriver.redrive([letter["id"]], by="ada") == {"rejected": 1}
    for _ in range(3):
        assert await world.redriver.round() == {}
    assert len(world.parser.asked) == 1
    (letter,) = world.letters()
    assert (letter["state"], letter["attempts"], letter["gate"]) == ("open", 1, "v1")
    assert world.hours() == [hour("06", 1, rejected=1)]


async def test_attempts_are_capped_for_everybody(world: World) -> None:
    await world.poll(b"b=~")
    (letter,) = world.letters()
    for _ in range(5):
        await world.redriver.redrive([letter["id"]], by="ada")
    assert len(world.parser.asked) == world.max_attempts
    world.parser.version = 2
    assert await world.redriver.round() == {}


async def test_one_letter_of_a_kind_is_tried_before_the_rest(world: World) -> None:
    await world.poll(*(b"n%d=~" % number for number in range(8)))
    assert await world.redriver.round() == {"rejected": 1}
    assert len(world.parser.asked) == 1
    assert await world.redriver.round() == {}
    world.parser.version = 2
    assert await world.redriver.round() == {"redriven": 8}
    assert world.hours() == [hour("06", 8, parsed=8, records=8, accepted=8)]


async def test_a_rejected_record_moves_within_its_own_dataset(world: World) -> None:
    long = b"x" * 2000
    await world.poll(b"a=1", b"b=" + long)
    assert world.hours() == [hour("06", 2, parsed=2, records=2, accepted=1, refused=1)]
    (letter,) = world.letters()
    assert (letter["dataset"], letter["cause"]) == (world.parser.contract.dataset.name, "contract")
    world.clock.at = NOON
    world.records[letter["dataset"]] = contract_for(world.door.topic, is_mended=True)
    world.parser.version = 2
    assert await world.redriver.round() == {"redriven": 1}
    assert world.hours() == [hour("06", 2, parsed=2, records=2, accepted=2)]


async def test_a_row_of_no_interest_today_is_ignored_in_its_hour(world: World) -> None:
    await world.poll(b"b=~")
    world.clock.at = NOON
    world.parser.version = 2
    world.parser.is_bored = True
    assert await world.redriver.round() == {"redriven": 1}
    assert world.hours() == [hour("06", 1, ignored=1)]


async def test_fault_29_a_row_driven_again_while_kafka_is_down_waits_in_the_buffer(
    platform: Platform, world: World
) -> None:
    await world.poll(b"a=1", b"b=~")
    delivered(world)
    end(platform, "kafka")
    try:
        world.parser.version = 2
        assert await world.redriver.round() == {"redriven": 1}
        assert await world.redriver.round() == {}
    finally:
        begin(platform, "kafka")
    assert sorted(delivered(world).values()) == ["a", "b"]
    assert world.hours() == [hour("06", 2, parsed=2, records=2, accepted=2)]


def large(name: str) -> bytes:
    """A line that fits a text of 64 KiB and no message of 20,000 bytes."""
    return name.encode() + b"=" + os.urandom(30_000).hex().encode()


class Table:
    """A raw table that holds the given numbers, for the ledger."""

    def __init__(self, seqs: set[int]) -> None:
        self.seqs = seqs

    def query(self, sql: str, args: tuple[int, int, int]) -> list[dict[str, Any]]:
        _, above, _ = args
        ends = [int(part.split()[0]) for part in sql.split("seq <= ")[1:-1]]
        found = {
            f"landed_{index}": sum(above < seq <= end for seq in self.seqs)
            for index, end in enumerate(ends)
        }
        newest = datetime(2026, 11, 21)  # noqa: DTZ001 (as StarRocks gives it)
        return [{**found, "newest_event": None, "newest_accepted": newest}]


async def test_fault_29_a_record_that_kafka_refused_keeps_its_number_and_lands_once(
    platform: Platform, engine: Engine, world: World
) -> None:
    contract = contract_for(world.door.topic, is_mended=True)
    world.parser.contract = world.records[contract.dataset.name] = contract
    await world.poll(b"a=1", large("b"), b"c=3")
    world.door.wait_delivered()
    await asyncio.to_thread(world.applied)
    (letter,) = world.letters()
    assert (letter["cause"], letter["class"], letter["seq"]) == ("kafka_refused", "transient", 2)

    def balance(table: Table, **more: Any) -> tuple[int, int, int]:
        found = settle(engine, table, contract, world.door.writer, 3, now=NOON, **more)  # type: ignore[arg-type]
        return found.landed, found.dead, found.on_the_way

    before = settle(engine, Table({1, 3}), contract, world.door.writer, 3, now=NOON)  # type: ignore[arg-type]
    assert (before.landed, before.dead, before.settled_seq) == (2, 1, 3)
    assert await world.redriver.round() == {}, "the topic takes no more than before"
    end(platform, "kafka")
    try:
        assert await world.redriver.redrive([letter["id"]], by="ada") == {"unconfirmed": 1}
    finally:
        begin(platform, "kafka")
    assert balance(Table({1, 3}), since=before) == (2, 0, 1), "on the way, and no longer dead"
    assert await world.redriver.round(only_unconfirmed=True) == {"rejected": 1}
    assert balance(Table({1, 3})) == (2, 1, 0)
    raise_limit(world.door, "100000")
    assert await world.redriver.round() == {"redriven": 1}
    assert await world.redriver.round() == {}
    assert await world.redriver.redrive([letter["id"]], by="ada") == {}
    assert delivered(world) == {1: "a", 2: "b", 3: "c"}
    assert balance(Table({1, 2, 3})) == (3, 0, 0)
    assert world.history() == [
        ("ada", "redrive", "unconfirmed"),
        ("stream manager", "redrive", "rejected"),
        ("stream manager", "redrive", "redriven"),
    ]


def raise_limit(way: Door, size: str) -> None:
    """Let a topic take larger messages."""
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, way.topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": way.servers, "log_level": 0})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


async def test_a_manager_killed_in_the_middle_of_a_redrive_leaves_nothing_in_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.poll(b"a=1", b"b=~", b"c=~")
    delivered(world)
    world.parser.version = 2
    letters = [one["id"] for one in world.letters()]

    # Killed behind the records and before their COMMIT frame: the log holds the records only.
    async def killed(session: PollSession, _outcome: str, **_more: object) -> None:
        await session.flush()
        raise asyncio.CancelledError

    async def dead(_session: PollSession) -> None:
        return

    with monkeypatch.context() as patch:
        patch.setattr(PollSession, "finish", killed)
        patch.setattr(PollSession, "interrupt", dead)
        with pytest.raises(asyncio.CancelledError):
            await world.redriver.redrive(letters, by="ada")
    world.door.close()
    world.door.open()
    world.make()
    await asyncio.to_thread(world.applied)
    assert {one["state"] for one in world.letters()} == {"open"}
    assert await world.redriver.redrive(letters, by="ada") == {"redriven": 2}
    assert sorted(delivered(world).values()) == ["a", "b", "c"]
    (row,) = world.hours()
    assert (row["rejected"], row["accepted"], row["unchanged"]) == (0, 3, 2)
    assert [outcome for _, _, outcome in world.history()] == ["interrupted"] * 2 + ["redriven"] * 2


async def test_a_redrive_that_the_buffer_has_no_room_for_costs_no_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2
    with monkeypatch.context() as patch:
        patch.setattr(world.door.intake, "admits", lambda *_: False)
        assert await world.redriver.round() == {"deferred": 1}
    (letter,) = world.letters()
    assert (letter["state"], letter["attempts"]) == ("open", 0)
    assert await world.redriver.round() == {"redriven": 1}


async def test_a_letter_claimed_and_never_driven_is_open_after_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2

    def lost(*_arguments: object, **_more: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("emdata.state.dead_letters.plan", lost)
        with pytest.raises(asyncio.CancelledError):
            await world.redriver.round()
    assert [one["state"] for one in world.letters()] == ["redriving"]
    world.clock.at = NOON
    world.make()
    running = asyncio.create_task(world.redriver.run())
    try:
        async with asyncio.timeout(30):
            while [one["state"] for one in world.letters()] != ["redriven"]:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
    assert delivered(world) == {1: "b"}


async def test_a_request_is_answered_with_what_became_of_each_letter(
    engine: Engine, world: World
) -> None:
    await world.poll(b"b=~", b"c=~")
    listener = RequestListener(world.manager, engine, world.redriver.ask)
    world.parser.version = 2
    tasks = [asyncio.create_task(one) for one in (listener.run(), world.redriver.run())]
    ids = [one["id"] for one in world.letters()]
    try:
        arguments = {"ids": [*ids, "unknown"], "by": "ada"}
        writer = f"writer-{world.door.writer}"
        (request,) = await asyncio.to_thread(
            lambda: ask_polls(engine, [writer], "ada", kind="redrive", arguments=arguments)
        )
        (answered,) = await asyncio.to_thread(wait_for, engine, [request], 60.0)
    finally:
        for task in tasks:
            task.cancel()
    assert (answered.outcome, answered.result) == ("ok", {"redriven": 2, "skipped": 1})


async def test_a_dropped_letter_stays_with_its_bytes_and_says_who_and_why(
    engine: Engine, world: World
) -> None:
    await world.poll(b"b=~\x00\xff")
    (letter,) = world.letters()
    assert drop_letters(engine, [letter["id"]], by="ada", why="a test", now=NOON) == 1
    assert drop_letters(engine, [letter["id"]], by="eve", why="again", now=NOON) == 0
    (shown,) = show_letter(engine, letter["id"][:12])
    assert (shown["state"], shown["payload"]) == ("dropped", b"b=~\x00\xff")
    assert [(one["action"], one["by"], one["reason"]) for one in shown["history"]] == [
        ("drop", "ada", "a test")
    ]
    world.parser.version = 2
    assert await world.redriver.round() == {}
    # The same bytes again are counted and stay dropped.
    world.parser.version = 1
    await world.poll(b"b=~\x00\xff")
    (letter,) = world.letters()
    assert (letter["state"], letter["occurrences"]) == ("dropped", 2)
    assert find_letters(engine, Filter(stream=world.parser.name, states=("open",))) == []


async def test_a_letter_that_comes_back_after_its_redrive_is_open_again(world: World) -> None:
    await world.poll(b"b=~")
    world.parser.version = 2
    await world.redriver.round()
    world.parser.version = 1
    world.clock.at = NOON
    newer = await world.poll(b"b=~")
    (letter,) = world.letters()
    assert (letter["state"], letter["poll_id"], letter["occurrences"]) == ("open", newer, 2)
    assert [row["rejected"] for row in world.hours()] == [0, 1]


async def test_fault_28_letters_wait_in_the_log_while_postgres_is_away_and_none_is_lost(
    platform: Platform, engine: Engine, world: World
) -> None:
    await world.manager.be_certain_of_numbers()
    end(platform, "postgres")
    try:
        for number in range(3):
            session = world.manager.new_session(
                world.parser.name, "made", cursor={}, batch_size=10, keys=Keys.REMEMBERED
            )
            for line in range(20):
                session.row_rejected(b"%d-%d=~" % (number, line), ValueError("a tilde"))
            await session.finish("ok")
        # The process ends and another begins while PostgreSQL is still away.
        world.door.close()
        world.door.open()
        assert world.door.intake.applier.depth() == 3
        running = [thread.name for thread in threading.enumerate()]
        assert running.count("applier") == 1, "one retry loop"
    finally:
        begin(platform, "postgres")
    await asyncio.to_thread(world.applied)
    world.make()
    assert len(find_letters(engine, Filter(stream=world.parser.name), limit=1000)) == 60
    assert world.hours() == [hour("06", 60, rejected=60)]
