"""The door for push connectors: durable or not acknowledged, and repeats are not news."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from emdata.contracts.base import Record
from emdata.errors import BufferUnavailable, RowError, SourceUnavailable, StateUnavailable
from emdata.state.requests import Request
from stream_manager.buffer import BufferLog
from stream_manager.connector import PushConnector, StreamConfig
from stream_manager.polls.interrupted import interrupted_commit
from stream_manager.push import door as door_module
from stream_manager.push.door import PushDoor, PushItem, RecentKeys
from tests.stream_manager.test_manager import World
from tests.stream_manager.test_session import AT, Thing, thing


class Sender:
    """A connector that keeps its door open for the test."""

    name, source, emits = "pushed", "made", (Thing,)

    def __init__(self) -> None:
        self.door: PushDoor | None = None
        self.runs = 0

    async def run_push(self, door: PushDoor) -> None:
        self.runs += 1
        self.door = door
        await asyncio.Event().wait()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    made = World(tmp_path, monkeypatch)
    monkeypatch.setattr(door_module, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(door_module, "COMMIT_SECONDS", 60.0)
    yield made
    await made.manager.stop()
    await asyncio.to_thread(made.intake.stop)


@pytest.fixture
async def door(world: World, monkeypatch: pytest.MonkeyPatch) -> PushDoor:
    monkeypatch.setattr(door_module, "load_contents", lambda _e, _d, _k: {})
    connector = Sender()
    world.manager.start_streaming(connector, StreamConfig(60, is_push=True))
    await world.until(lambda: connector.door is not None)
    assert connector.door is not None
    return connector.door


def item(*records: Record, again: bool = False) -> PushItem:
    return PushItem(b"{}", records, is_repeat_likely=again)


def ledger(world: World) -> list[tuple[int, int, int, int]]:
    """Rows, ignored, rejected and accepted of every batch."""
    return [
        (
            one.rows,
            one.rows_ignored,
            one.rows_rejected,
            sum(counts.accepted for counts in one.datasets.values()),
        )
        for one in world.commits
    ]


async def test_batches_are_durable_when_take_returns_and_share_one_commit(
    world: World, door: PushDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "COMMIT_SECONDS", 0.1)
    for number in range(0, 40, 2):
        assert await door.take([item(thing(number)), item(thing(number + 1)), item()]) == 2
        assert world.intake.log.seqs_durable() == {"made_things": number + 2}
    await world.until(lambda: sum(one.rows for one in world.commits) == 60)
    assert len(world.commits) < 10
    assert {one.outcome for one in world.commits} == {"ok"}
    assert sum(counts[3] for counts in ledger(world)) == 40
    await door.beat()
    assert await door.take([item(thing(40)), item(), item()]) == 1
    await door.beat()
    (row,) = world.manager.status()
    assert (row["mode"], row["failures"], row["last_rows"]) == ("continuous", 0, 3)


async def test_a_message_that_is_not_understood_is_a_dead_letter_with_its_bytes(
    world: World, door: PushDoor
) -> None:
    await door.take([PushItem(b"\xff\x00", error=RowError("no")), item(thing(1))])
    await world.until(lambda: world.commits)
    assert ledger(world) == [(2, 0, 1, 1)]
    assert [dead.payload for dead in world.commits[0].deads] == [b"\xff\x00"]


async def test_a_batch_with_a_dead_letter_is_committed_before_its_acknowledgment(
    world: World, door: PushDoor
) -> None:
    await door.take([item(thing(1))])
    segment = world.intake.log.directory / f"{world.intake.log.current_segment:020}.seg"
    before = segment.read_bytes()
    await door.take([PushItem(b"verbatim", error=RowError("no"))])
    assert b"verbatim" in segment.read_bytes().removeprefix(before)
    await world.until(lambda: world.commits)
    assert ledger(world) == [(2, 0, 1, 1)]


async def test_what_a_killed_process_took_since_its_last_commit_is_counted_by_the_next(
    world: World, door: PushDoor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await door.take([item(thing(1))])
    await door.beat()
    await door.take([item(thing(2)), item(thing(3))])
    left = tmp_path_factory.mktemp("killed") / "buffer"
    shutil.copytree(world.intake.log.directory, left)
    with BufferLog(left, writer=1, segment_bytes=1 << 20) as after:
        found = after.open()
    assert [list(stored.load().datasets) for _, stored in found.commits] == [["made_things"]]
    (blocks,) = found.interrupted.values()
    assert sum(map(len, blocks)) == 2
    ended = interrupted_commit("poll", 1, blocks, AT)
    counts = ended.datasets["made_things"]
    assert (counts.accepted, counts.first_seq, counts.last_seq) == (2, 2, 3)
    assert len(ended.seen["made_things"]) == 2, "a repetition after the kill is known"


async def test_a_stream_that_is_stopped_leaves_no_poll_open(world: World, door: PushDoor) -> None:
    await door.take([item(thing(1))])
    await world.manager.stop()
    await world.until(lambda: world.commits)
    assert [(one.outcome, one.rows_parsed) for one in world.commits] == [("ok", 1)]


async def test_a_batch_that_is_cut_off_is_not_counted_and_those_before_it_are(
    world: World, door: PushDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.take([item(thing(1))])
    append = world.intake.writer.append_blocks

    def hanging(drafts: Any, **rest: Any) -> Future[Any]:
        monkeypatch.setattr(world.intake.writer, "append_blocks", append)
        refused: Future[Any] = Future()
        asyncio.get_running_loop().call_later(0.1, refused.set_exception, BufferUnavailable("disk"))
        return refused

    monkeypatch.setattr(world.intake.writer, "append_blocks", hanging)
    cut = asyncio.create_task(door.take([item(thing(2))]))
    await world.until(lambda: world.intake.writer.append_blocks is append)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert await door.take([item(thing(2))]) == 1, "its sender sends it again"
    await world.manager.stop()
    await world.until(lambda: len(world.commits) == 2)
    assert [one.outcome for one in world.commits] == ["interrupted", "ok"]
    assert [one.datasets["made_things"].accepted for one in world.commits] == [1, 1]
    assert [one.datasets["made_things"].deferred for one in world.commits] == [1, 0]


async def test_what_is_sent_twice_is_counted_once(world: World, door: PushDoor) -> None:
    assert await door.take([item(thing(1)), item(thing(1))]) == 1
    assert await door.take([item(thing(1), again=True)]) == 0
    assert await door.take([item(thing(1, "other"))]) == 1


async def test_a_record_that_cannot_be_encoded_is_a_dead_letter_and_the_stream_goes_on(
    world: World, door: PushDoor
) -> None:
    assert await door.take([item(thing(1, "\ud800")), item(thing(2))]) == 1
    await world.until(lambda: world.commits)
    assert world.commits[0].datasets["made_things"].rejected == 1
    assert await door.take([item(thing(3))]) == 1


async def test_a_retained_message_that_an_earlier_process_took_is_not_new(
    world: World, door: PushDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, asked = thing(1), []

    def stored(_engine: Engine, dataset: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        asked.append((dataset, set(keys)))
        return {old.key_hash(): old.content_hash()}

    monkeypatch.setattr(door_module, "load_contents", stored)
    assert await door.take([item(old, again=True), item(thing(2), again=True)]) == 1
    assert asked == [("made_things", {old.key_hash(), thing(2).key_hash()})]
    assert await door.take([item(thing(3))]) == 1, "what is not repeated is not asked for"
    assert len(asked) == 1


async def test_without_postgresql_a_likely_repeat_is_taken_rather_than_lost(
    world: World, door: PushDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> dict[bytes, bytes]:
        raise StateUnavailable("away")

    monkeypatch.setattr(door_module, "load_contents", away)
    assert await door.take([item(thing(1), again=True)]) == 1


async def test_a_refused_batch_is_offered_again_until_it_is_taken(
    world: World, door: PushDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, tries = world.intake.writer.append_blocks, []

    def failing_twice(drafts: Any, **rest: Any) -> Future[Any]:
        tries.append(len(drafts))
        if drafts and len([count for count in tries if count]) <= 2:
            failed: Future[Any] = Future()
            failed.set_exception(BufferUnavailable("disk"))
            return failed
        return append(drafts, **rest)

    monkeypatch.setattr(world.intake.writer, "append_blocks", failing_twice)
    taken = await door.take([PushItem(b"bad", error=RowError("no")), item(thing(1))])
    assert taken == 1
    await door.beat()
    await world.until(lambda: len(world.commits) == 3)
    assert [one.outcome for one in world.commits] == ["failed", "failed", "ok"]
    assert [one.rows_rejected for one in world.commits] == [1, 0, 0], "a dead letter is one"
    assert all(one.balances() for one in world.commits)


async def test_a_silent_sender_is_recorded_as_connected_and_a_lost_one_as_failed(
    world: World, door: PushDoor
) -> None:
    await door.beat()
    await door.take([item(thing(1))])
    await door.failed(SourceUnavailable("mqtt://x: gone"))
    await world.until(lambda: len(world.commits) == 3)
    assert [(one.outcome, one.rows, one.error_class) for one in world.commits] == [
        ("ok", 0, None),
        ("ok", 1, None),
        ("failed", 0, "source_unavailable"),
    ]
    assert world.manager.status()[0]["failures"] == 1


async def test_the_keys_of_a_push_stream_do_not_fill_the_memory(
    world: World, door: PushDoor
) -> None:
    await door.take([item(thing(number)) for number in range(50)])
    assert world.manager._seen.content("made_things", thing(1).key_hash()) is None
    recent = RecentKeys(2)
    for number in range(3):
        recent.put("d", bytes([number]), b"c")
    assert [recent.get("d", bytes([number])) for number in range(3)] == [None, b"c", b"c"]


async def test_a_push_stream_cannot_be_asked_to_poll(world: World, door: PushDoor) -> None:
    assert isinstance(Sender(), PushConnector)
    request = Request(1, "pushed", "poll", {})
    assert world.manager.request(request) is False
