"""One poll: every row and record ends in exactly one count, and the cursor moves last."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from emdata.clock import ManualClock
from emdata.commits import Commit
from emdata.contracts.base import Dataset, Priority, Record, UtcDatetime
from emdata.envelope import Accepted
from emdata.errors import BufferUnavailable, RowError
from stream_manager.buffer import BufferLog, BufferWriter, Run
from stream_manager.buffer.disk import OsDisk
from stream_manager.polls.interrupted import interrupted_commit
from stream_manager.polls.poll import MAX_PAYLOAD, PollContext
from stream_manager.polls.seen import SeenIndex
from stream_manager.polls.session import PollSession
from tests.stream_manager.making import commit as made_commit
from tests.stream_manager.making import draft, records
from tests.stream_manager.test_buffer_log import BrokenDisk
from tests.support.waiting import wait_for

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Thing(Record, frozen=True, kw_only=True):
    """A record for these tests."""

    thing_id: str
    text: str
    at: UtcDatetime
    reloaded: int = 0
    dataset = Dataset(
        name="made_things",
        source="made",
        domain="test",
        title="Made things",
        key=("thing_id",),
        event_time="at",
        fresh_within="1h",
        terms="none",
        unhashed=("reloaded",),
    )


class Harness:
    """A buffer without Kafka and PostgreSQL, and sessions on it."""

    def __init__(self, folder: Path, disk: OsDisk | None = None) -> None:
        self.disk = BrokenDisk("", errno.ENOSPC)
        self.log = BufferLog(folder, writer=1, segment_bytes=1 << 20, disk=disk or self.disk)
        self.log.open()
        self.runs: list[Run] = []
        self.commits: list[Commit] = []
        self.writer = BufferWriter(self.log, ManualClock(AT), self._durable)
        self.writer.start()
        self.context = PollContext(
            poll_id="p1",
            stream="made",
            source="made",
            writer=1,
            cursor={},
            buffer=self.writer,
            seen=SeenIndex(),
            admits=lambda _priority, _tenant: True,
            clock=ManualClock(AT),
            is_simulated=True,
            batch_size=2,
        )

    def _durable(
        self, runs: list[Run], commits: list[Commit], _deads: object, _segment: int
    ) -> None:
        self.runs += runs
        self.commits += commits

    def records(self) -> list[Accepted]:
        return records(self.log, self.runs)

    def session(self, poll_id: str = "p1", **changes: object) -> PollSession:
        return PollSession(replace(self.context, poll_id=poll_id, **changes))  # type: ignore[arg-type]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    yield made
    made.writer.stop()
    made.log.close()


def thing(number: int, text: str = "a", **changes: object) -> Thing:
    return Thing(thing_id=f"t{number}", text=text, at=AT, **changes)  # type: ignore[arg-type]


async def poll(harness: Harness, *things: Thing, poll_id: str = "p1") -> Commit:
    session = harness.session(poll_id)
    for one in things:
        await session.row_parsed([one])
    return await session.finish("ok", cursor={"at": poll_id})


async def test_fault_23_a_second_poll_of_the_same_rows_publishes_nothing(harness: Harness) -> None:
    first = await poll(harness, thing(1), thing(2), thing(3))
    second = await poll(harness, thing(3), thing(1), thing(2), poll_id="p2")
    assert first.datasets["made_things"].accepted == 3
    assert second.datasets["made_things"].unchanged == 3
    assert len(harness.records()) == 3


async def test_one_changed_record_of_many_publishes_one(harness: Harness) -> None:
    await poll(harness, *[thing(n) for n in range(40)])
    changed = [thing(n, "b" if n == 17 else "a") for n in range(40)]
    second = await poll(harness, *changed, poll_id="p2")
    counts = second.datasets["made_things"]
    assert (counts.accepted, counts.unchanged) == (1, 39)
    assert harness.records()[-1].record_key == "t17"


async def test_a_reload_that_bumps_only_an_unhashed_field_publishes_nothing(
    harness: Harness,
) -> None:
    await poll(harness, thing(1), thing(2))
    second = await poll(harness, thing(1, reloaded=5), thing(2, reloaded=5), poll_id="p2")
    assert second.datasets["made_things"].accepted == 0


async def test_fault_24_a_row_that_comes_twice_in_one_poll_is_accepted_once(
    harness: Harness,
) -> None:
    commit = await poll(harness, thing(1), thing(1), thing(1, "b"), thing(1, "b"))
    counts = commit.datasets["made_things"]
    assert (counts.records, counts.accepted, counts.unchanged) == (4, 2, 2)


async def test_fault_26_a_bad_row_goes_to_the_dead_letters_with_its_bytes_and_neighbors_pass(
    harness: Harness,
) -> None:
    session = harness.session()
    await session.row_parsed([thing(1)])
    session.row_rejected(b'{"poison": \xff}', RowError("row 2: not UTF-8"))
    session.row_rejected(b'{"poison": \xff}', RowError("row 3: not UTF-8"))
    session.row_ignored()
    await session.row_parsed([thing(2)])
    commit = await session.finish("ok")
    assert (commit.rows, commit.rows_parsed, commit.rows_rejected, commit.rows_ignored) == (
        5,
        2,
        2,
        1,
    )
    assert [(dead.payload, dead.occurrences, dead.cause) for dead in commit.deads] == [
        (b'{"poison": \xff}', 2, "row")
    ]
    assert commit.balances()


async def test_fault_17_a_record_too_large_for_kafka_is_rejected_before_it_is_acknowledged(
    harness: Harness,
) -> None:
    commit = await poll(harness, thing(1), thing(2, "x" * (MAX_PAYLOAD + 1)))
    counts = commit.datasets["made_things"]
    assert (counts.accepted, counts.rejected) == (1, 1)
    assert commit.balances()


async def test_fault_8_low_is_deferred_while_the_buffer_is_full_and_the_cursor_stays(
    harness: Harness,
) -> None:
    session = harness.session(admits=lambda priority, _tenant: priority is Priority.CRITICAL)
    await session.row_parsed([thing(1)])
    commit = await session.finish("ok", cursor={"at": "later"})
    counts = commit.datasets["made_things"]
    assert (counts.deferred, counts.accepted) == (1, 0)
    assert commit.cursor is None
    again = await poll(harness, thing(1), poll_id="p2")
    assert again.datasets["made_things"].accepted == 1
    assert again.cursor == {"at": "p2"}


async def test_fault_25_the_cursor_moves_only_in_the_frame_behind_the_last_record(
    harness: Harness,
) -> None:
    session = harness.session()
    for number in range(5):
        await session.row_parsed([thing(number)])
    assert harness.commits == []
    # the batch that is not full waits for the end
    wait_for(lambda: len(harness.records()) == 4, 20, "two full batches to be durable")
    await session.finish("ok", cursor={"at": 5})
    assert len(harness.records()) == 5
    assert [commit.cursor for commit in harness.commits] == [{"at": 5}]


async def test_fault_5_records_of_a_failed_write_are_deferred_and_taken_by_the_next_poll(
    harness: Harness,
) -> None:
    session = harness.session()
    await session.row_parsed([thing(1)])
    harness.disk.call, harness.disk.times = "append", 1
    commit = await session.finish("ok", cursor={"at": 1})
    assert (commit.outcome, commit.cursor) == ("failed", None)
    assert commit.datasets["made_things"].deferred == 1
    again = await poll(harness, thing(1), poll_id="p2")
    assert again.datasets["made_things"].accepted == 1


async def test_a_commit_that_cannot_be_written_is_tried_until_it_is(harness: Harness) -> None:
    session = harness.session()
    await session.row_parsed([thing(1), thing(2)])
    await session.flush()
    harness.disk.call, harness.disk.times = "append", 2
    commit = await asyncio.wait_for(session.finish("ok", cursor={"at": 1}), 20)
    assert commit.cursor == {"at": 1}
    assert harness.commits == [commit]


async def test_newest_event_is_never_further_ahead_than_a_day(harness: Harness) -> None:
    ahead = Thing(thing_id="t", text="a", at=AT.replace(year=2036))
    commit = await poll(harness, ahead)
    assert commit.datasets["made_things"].newest_event_at == "2026-11-22T09:00:00.000000"


async def test_a_poll_without_its_frame_becomes_interrupted_and_its_records_stay_known(
    harness: Harness, tmp_path: Path
) -> None:
    session = harness.session("dead")
    await session.row_parsed([thing(1), thing(2)])
    await session.flush()
    harness.writer.stop()
    harness.log.close()
    with BufferLog(tmp_path, writer=1, segment_bytes=1 << 20) as log:
        found = log.open().interrupted["dead"]
    commit = interrupted_commit("dead", 1, found, AT)
    counts = commit.datasets["made_things"]
    assert (commit.outcome, commit.cursor, commit.balances()) == ("interrupted", None, True)
    assert (counts.accepted, counts.first_seq, counts.last_seq) == (2, 1, 2)
    assert {one.key_hash for one in commit.seen["made_things"]} == {
        thing(1).key_hash(),
        thing(2).key_hash(),
    }
    harness.writer = BufferWriter(harness.log, ManualClock(AT), harness._durable)
    harness.writer.start()


class Held(OsDisk):
    """A disk whose fsync waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.is_waiting = threading.Event()

    def sync(self, fd: int) -> None:
        self.is_waiting.set()
        assert self.go.wait(20)
        super().sync(fd)


async def test_fault_25_a_cancelled_poll_counts_what_was_accepted_and_keeps_its_cursor(
    tmp_path: Path,
) -> None:
    disk = Held()
    harness = Harness(tmp_path, disk)
    session = harness.session()
    await session.row_parsed([thing(1), thing(2)])
    await session.flush()
    disk.go.clear()
    disk.is_waiting.clear()

    async def go_on() -> None:
        await session.row_parsed([thing(n) for n in range(3, 6)])
        await session.row_parsed([thing(n) for n in range(6, 8)])

    poll_task = asyncio.create_task(go_on())
    await asyncio.to_thread(disk.is_waiting.wait, 20)
    poll_task.cancel()
    await asyncio.wait({poll_task})
    disk.go.set()
    await session.interrupt()
    (commit,) = harness.commits
    counts = commit.datasets["made_things"]
    assert (commit.outcome, commit.cursor, commit.balances()) == ("interrupted", None, True)
    assert counts.accepted == len(harness.records()) >= 4
    assert counts.accepted + counts.deferred == 7
    again = await poll(harness, *[thing(n) for n in range(1, 8)], poll_id="p2")
    assert again.datasets["made_things"].accepted == counts.deferred
    harness.writer.stop()
    harness.log.close()


async def test_a_poll_cancelled_while_its_frame_is_written_ends_by_that_frame(
    tmp_path: Path,
) -> None:
    disk = Held()
    harness = Harness(tmp_path, disk)
    session = harness.session()
    await session.row_parsed([thing(1), thing(2)])
    await session.flush()
    disk.go.clear()
    disk.is_waiting.clear()
    ending = asyncio.create_task(session.finish("ok", cursor={"at": 1}))
    await asyncio.to_thread(disk.is_waiting.wait, 20)
    ending.cancel()
    await asyncio.wait({ending})
    disk.go.set()
    await session.interrupt()
    assert [(one.outcome, one.cursor) for one in harness.commits] == [("ok", {"at": 1})]
    assert session.commit == harness.commits[0]
    harness.writer.stop()
    harness.log.close()


async def test_a_poll_that_took_nothing_leaves_nothing_when_it_is_cancelled(
    harness: Harness,
) -> None:
    await harness.session().interrupt()
    assert harness.commits == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reloaded": 2**63}, "64-bit"),
        ({"text": "x" * 1025}, "at most 1024 bytes"),
        ({"thing_id": "x" * 5000}, "bytes"),
        ({"text": "\ud800"}, "surrogates"),
    ],
)
async def test_fault_26_a_record_that_no_table_can_hold_is_rejected_and_its_neighbors_pass(
    harness: Harness, changes: dict[str, object], why: str
) -> None:
    session = harness.session()
    await session.row_parsed([thing(1)])
    fields: dict[str, object] = {"thing_id": "bad", "text": "a", "at": AT, **changes}
    reasons = await session.row_parsed([Thing(**fields)])  # type: ignore[arg-type]
    await session.row_parsed([thing(2)])
    commit = await session.finish("ok", cursor={"at": 1})
    counts = commit.datasets["made_things"]
    assert (counts.accepted, counts.rejected, commit.balances()) == (2, 1, True)
    assert why in reasons[0]
    assert why in commit.deads[0].reason
    assert b"bad" in commit.deads[0].payload or b"xxx" in commit.deads[0].payload
    assert commit.cursor == {"at": 1}


async def test_a_cursor_that_cannot_be_written_is_an_error_and_not_an_endless_wait(
    harness: Harness,
) -> None:
    session = harness.session()
    await session.row_parsed([thing(1)])
    with pytest.raises((TypeError, OverflowError)):
        await asyncio.wait_for(session.finish("ok", cursor={"at": object()}), 20)
    commit = await session.finish("failed", error=RowError("no cursor"))
    assert harness.commits == [commit]
    assert commit.datasets["made_things"].accepted == 1


async def test_one_append_that_cannot_be_written_costs_its_group_nothing(tmp_path: Path) -> None:
    disk = Held()
    harness = Harness(tmp_path, disk)
    disk.go.clear()
    disk.is_waiting.clear()
    first = harness.writer.append([draft(1)])
    await asyncio.to_thread(disk.is_waiting.wait, 20)
    bad = msgspec.structs.replace(made_commit(), cursor={"at": object()})
    good = [harness.writer.append([draft(3)])]
    refused = harness.writer.append([draft(2)], commit=bad)
    good.append(harness.writer.append([draft(4)]))
    disk.go.set()
    assert [len(one.result(20)) for one in (first, *good)] == [1, 1, 1]
    with pytest.raises(TypeError):
        refused.result(20)
    assert [record.seq for record in harness.records()] == [1, 2, 3]
    harness.writer.stop()
    with pytest.raises(BufferUnavailable):
        harness.writer.append([draft(5)]).result(5)
    harness.log.close()
