"""Applying the log: in order, for as long as PostgreSQL is away, and past what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DataError, ProgrammingError

from emdata.commits import Commit, Dead
from emdata.errors import StateUnavailable
from stream_manager.buffer import BufferLog, StoredCommit
from stream_manager.state import applier as module
from stream_manager.state.applier import Applier
from tests.stream_manager.making import AT, append, commit, draft
from tests.support.waiting import wait_for

ENGINE = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")


class State:
    """Stands for PostgreSQL: applies frames to a list, or fails as told."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.transactions: list[int] = []
        self.fails: Callable[[str], Exception | None] = lambda _name: None

    def apply_commit(self, _engine: object, frame: Commit) -> bool:
        return self._apply(frame.poll_id)

    def apply_commits(self, _engine: object, frames: Sequence[Commit]) -> None:
        for frame in frames:
            error = self.fails(frame.poll_id)
            if error is not None:
                raise error
        self.transactions.append(len(frames))
        self.applied += [frame.poll_id for frame in frames]

    def apply_dead(self, _engine: object, _writer: int, frame: Dead) -> None:
        self._apply(frame.id)

    def _apply(self, name: str) -> bool:
        error = self.fails(name)
        if error is not None:
            raise error
        self.applied.append(name)
        return True


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    made = State()
    monkeypatch.setattr(module, "apply_commit", made.apply_commit)
    monkeypatch.setattr(module, "apply_commits", made.apply_commits)
    monkeypatch.setattr(module, "apply_dead", made.apply_dead)
    monkeypatch.setattr(module, "BACKOFF_FIRST", 0.01)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[BufferLog]:
    with BufferLog(tmp_path / "buffer", writer=1, segment_bytes=200) as made:
        made.open()
        yield made


def offer(log: BufferLog, applier: Applier, *poll_ids: str) -> None:
    for poll_id in poll_ids:
        frame = commit(poll_id)
        log.append([], [frame], [], accepted_at=AT)
        applier.put(log.current_segment, [frame])


def test_fault_28_frames_wait_in_order_while_postgres_is_away_and_keep_their_segments(
    log: BufferLog, state: State, tmp_path: Path
) -> None:
    state.fails = lambda _name: StateUnavailable("away")
    applier = Applier(ENGINE, log, tmp_path / "unapplied")
    applier.start()
    offer(log, applier, "a", "b")
    dead = Dead("1-made_things-1", "made", "made_things", 1, "a", "refused", "r", b"x", 1, AT)
    log.append([], [], [dead], accepted_at=AT)
    applier.put(log.current_segment, [dead])
    wait_for(lambda: not applier.is_reachable, 20, "the loss to be noticed")
    assert (applier.depth(), log.segment_count()) == (3, 3)
    state.fails = lambda _name: None
    assert applier.wait_until_empty(20)
    assert state.applied == ["a", "b", dead.id]
    assert applier.is_reachable
    assert log.segment_count() == 1
    applier.stop()


def test_a_frame_that_postgres_refuses_is_kept_as_a_file_and_those_behind_it_go(
    log: BufferLog, state: State, tmp_path: Path
) -> None:
    refused = DataError("INSERT", {}, ValueError("\\u0000 cannot be converted to text"))
    state.fails = lambda name: refused if name == "b" else None
    applier = Applier(ENGINE, log, tmp_path / "unapplied")
    offer(log, applier, "a", "b", "c")
    applier.start()
    assert applier.wait_until_empty(20)
    applier.stop()
    assert state.applied == ["a", "c"]
    kept = (tmp_path / "unapplied" / "b.msgpack").read_bytes()
    assert msgspec.msgpack.decode(kept, type=Commit) == commit("b")
    why = json.loads((tmp_path / "unapplied" / "b.json").read_text())
    assert "cannot be converted" in why["error"]


def test_polls_that_wait_together_share_a_transaction_in_order(
    log: BufferLog, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_FRAMES", 3)
    applier = Applier(ENGINE, log, tmp_path / "unapplied")
    offer(log, applier, "a", "b", "c", "d", "e")
    dead = Dead("1-made_things-1", "made", "made_things", 1, "a", "refused", "r", b"x", 1, AT)
    log.append([], [], [dead], accepted_at=AT)
    applier.put(log.current_segment, [dead])
    offer(log, applier, "f", "g")
    redrive = msgspec.structs.replace(commit("h"), stream="redrive-made")
    log.append([], [redrive], [], accepted_at=AT)
    applier.put(log.current_segment, [redrive])
    offer(log, applier, "i")
    applier.start()
    assert applier.wait_until_empty(20)
    applier.stop()
    assert state.applied == ["a", "b", "c", "d", "e", dead.id, "f", "g", "h", "i"]
    assert state.transactions == [3, 2, 2]
    assert log.segment_count() == 1


def test_a_missing_table_is_waited_for_and_not_the_frame_s_fault(
    log: BufferLog, state: State, tmp_path: Path
) -> None:
    missing = ProgrammingError("INSERT", {}, Exception('relation "polls" does not exist'))
    state.fails = lambda _name: missing
    applier = Applier(ENGINE, log, tmp_path / "unapplied")
    applier.start()
    offer(log, applier, "a")
    wait_for(lambda: not applier.is_reachable, 20, "the refusal")
    state.fails = lambda _name: None
    assert applier.wait_until_empty(20)
    applier.stop()
    assert state.applied == ["a"]
    assert not (tmp_path / "unapplied").exists()


def test_frames_not_applied_before_the_end_are_found_at_the_next_start(
    state: State, tmp_path: Path
) -> None:
    state.fails = lambda _name: StateUnavailable("away")
    with BufferLog(tmp_path / "b", writer=1, segment_bytes=1 << 20) as log:
        log.open()
        applier = Applier(ENGINE, log, tmp_path / "unapplied")
        applier.start()
        append(log, [draft(1, poll_id="a")])
        offer(log, applier, "a")
        applier.stop()
    with BufferLog(tmp_path / "b", writer=1, segment_bytes=1 << 20) as log:
        assert [one.poll_id for _, one in log.open().commits] == ["a"]


def test_commits_of_an_earlier_process_are_applied_and_one_of_another_version_is_set_aside(
    log: BufferLog, state: State, tmp_path: Path
) -> None:
    applier = Applier(ENGINE, log, tmp_path / "unapplied")
    known = StoredCommit("a", msgspec.msgpack.encode(commit("a")))
    strange = StoredCommit("b", msgspec.msgpack.encode(["b", "of another version"]))
    applier.put(log.current_segment, [known, strange])
    applier.start()
    assert applier.wait_until_empty(20)
    applier.stop()
    assert state.applied == ["a"]
    assert (tmp_path / "unapplied" / "b.msgpack").read_bytes() == strange.raw
