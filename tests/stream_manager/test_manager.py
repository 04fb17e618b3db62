"""Streams side by side: each fails alone, is asked once, and is stopped without loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from emdata.clock import ManualClock
from emdata.commits import Commit
from emdata.errors import StateUnavailable
from emdata.state.requests import Request
from stream_manager import manager as manager_module
from stream_manager.connector import PollReport, StreamConfig
from stream_manager.control.control import Control, ControlConfig
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.manager import StreamManager
from stream_manager.polls.session import PollSession
from stream_manager.state import applier as applier_module
from stream_manager.streams import Stream
from tests.stream_manager.test_session import AT, Thing, thing

Poll = Callable[[PollSession, dict[str, Any]], Awaitable[object]]


class Made:
    """A connector that polls as told."""

    source = "made"
    emits = (Thing,)

    def __init__(self, name: str, poll: Poll) -> None:
        self.name, self._poll = name, poll

    async def run_poll(self, session: PollSession, arguments: dict[str, Any]) -> PollReport | None:
        report = await self._poll(session, arguments)
        return report if isinstance(report, PollReport) else None


class World:
    """A manager on a real buffer; the state is kept in lists."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commits: list[Commit] = []
        self.state_is_away = False
        monkeypatch.setattr(manager_module, "load_high_seqs", lambda _e, _w: self._state({}))
        monkeypatch.setattr(manager_module, "load_cursor", lambda _e, _s: self._state({}))
        monkeypatch.setattr(manager_module, "load_seen", lambda _e, _d: self._state({}))
        monkeypatch.setattr(manager_module, "register_streams", lambda _e, _r: self._state(None))
        monkeypatch.setattr(applier_module, "apply_commit", self._apply)
        monkeypatch.setattr(
            applier_module, "apply_commits", lambda _e, commits: self.commits.extend(commits)
        )
        engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        self.intake = Intake(
            IntakeConfig(folder, 1, 1 << 20, 16 << 20),
            engine,
            ManualClock(AT),
            make_producer=lambda lane: pytest.fail(f"no broker, no producer {lane}"),
            is_up=lambda: False,
        )
        self.intake.start(self.intake.open())
        self.clock = ManualClock(AT)
        self.waiting: dict[str, int] = {}
        control = Control(
            ControlConfig(breaker_open_s=0.01, breaker_waits=(0, 0.01, 0.01)),
            self.clock,
            depths=self.intake.queues.depths,
            waiting=lambda tenant: self.waiting.get(tenant, 0),
        )
        self.manager = StreamManager(
            self.intake, engine, self.clock, is_simulated=True, control=control
        )

    def _state(self, value: Any) -> Any:
        if self.state_is_away:
            raise StateUnavailable("away")
        return value

    def _apply(self, _engine: object, commit: Commit) -> bool:
        self.commits.append(commit)
        return True

    def start(
        self, name: str, poll: Poll, *, every: float = 0.01, tenant: str = "public"
    ) -> Stream:
        self.manager.start_streaming(Made(name, poll), StreamConfig(every), tenant)
        return self.manager._streams[name]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    def outcomes(self, stream: str) -> list[str]:
        return [commit.outcome for commit in self.commits if commit.stream == stream]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    await made.manager.stop()
    await asyncio.to_thread(made.intake.stop)


async def good(session: PollSession, _arguments: dict[str, Any]) -> None:
    await session.row_parsed([thing(1)])
    await session.finish("ok", cursor={"at": 1})


async def test_a_connector_with_a_bug_fails_alone_and_is_tried_again(world: World) -> None:
    async def bad(session: PollSession, _arguments: dict[str, Any]) -> None:
        await session.row_parsed([thing(2)])
        raise KeyError("bug")

    world.start("bad", bad)
    world.start("good", good)
    await world.until(lambda: len(world.outcomes("bad")) >= 3 and len(world.outcomes("good")) >= 3)
    assert set(world.outcomes("bad")) == {"failed"}
    assert set(world.outcomes("good")) == {"ok"}
    first = next(commit for commit in world.commits if commit.stream == "bad")
    assert (first.error_class, first.cursor) == ("KeyError", None)
    assert first.datasets["made_things"].accepted == 1


async def test_a_connector_that_never_finishes_its_poll_is_a_failed_poll(world: World) -> None:
    async def silent(session: PollSession, _arguments: dict[str, Any]) -> None:
        await session.row_parsed([])

    world.start("silent", silent)
    await world.until(lambda: world.outcomes("silent"))
    assert world.outcomes("silent")[0] == "failed"


async def test_a_ledger_that_does_not_balance_is_never_committed_and_the_stream_lives(
    world: World,
) -> None:
    turns: list[int] = []

    async def forged_once(session: PollSession, arguments: dict[str, Any]) -> None:
        turns.append(1)
        if len(turns) == 1:
            session.tally.rows += 7
        await good(session, arguments)

    world.start("forged", forged_once)
    await world.until(lambda: "ok" in world.outcomes("forged"))
    assert len(turns) >= 2
    assert all(commit.balances() for commit in world.commits)


async def test_a_request_is_polled_once_however_often_it_is_heard(world: World) -> None:
    go = asyncio.Event()
    polls: list[tuple[int, ...]] = []

    async def slow(session: PollSession, _arguments: dict[str, Any]) -> None:
        polls.append(session.context.request_ids)
        await go.wait()
        await session.finish("ok")

    request = Request(7, "slow", "poll", {})
    world.start("slow", slow, every=600)
    await world.until(lambda: polls)
    assert all(world.manager.request(request) for _ in range(3))
    go.set()
    await world.until(lambda: len(polls) == 2)
    assert all(world.manager.request(request) for _ in range(3))
    await world.until(lambda: len(world.commits) == 2)
    assert polls == [(), (7,)]
    assert not world.manager._streams["slow"].requests
    assert not world.manager.request(Request(8, "unknown", "poll", {}))


async def test_a_backfill_polls_alone_with_its_arguments(world: World) -> None:
    seen: list[tuple[tuple[int, ...], dict[str, Any]]] = []
    go = asyncio.Event()

    async def noting(session: PollSession, arguments: dict[str, Any]) -> None:
        seen.append((session.context.request_ids, arguments))
        await go.wait()
        await session.finish("ok")

    world.start("s", noting, every=600)
    await world.until(lambda: seen)
    world.manager.request(Request(1, "s", "poll", {}))
    world.manager.request(Request(2, "s", "backfill", {"since": "2020-01-01"}))
    go.set()
    await world.until(lambda: len(seen) == 3)
    assert seen[1:] == [((2,), {"since": "2020-01-01"}), ((1,), {})]


async def test_fault_51_a_stream_stopped_in_the_middle_of_a_poll_ends_it_as_interrupted(
    world: World,
) -> None:
    started = asyncio.Event()

    async def endless(session: PollSession, _arguments: dict[str, Any]) -> None:
        for number in range(500):
            await session.row_parsed([thing(number)])
        started.set()
        await asyncio.Event().wait()

    world.start("endless", endless)
    async with asyncio.timeout(20):
        await started.wait()
    await world.manager.stop_streaming("endless")
    await world.until(lambda: world.commits)
    (commit,) = world.commits
    counts = commit.datasets["made_things"]
    assert (commit.outcome, commit.cursor) == ("interrupted", None)
    assert (counts.records, counts.accepted) == (500, 500)
    assert all(not one.open_polls for one in world.intake.log.segments._segments.values())


async def test_streams_wait_for_postgres_before_their_first_poll(world: World) -> None:
    polls: list[int] = []

    async def noting(session: PollSession, arguments: dict[str, Any]) -> None:
        polls.append(1)
        await good(session, arguments)

    world.state_is_away = True
    world.start("s", noting)
    await asyncio.sleep(0)
    assert not world.manager.is_loaded()
    await asyncio.to_thread(lambda: None)
    assert polls == []
    world.state_is_away = False
    await world.until(lambda: polls)
    assert world.manager.is_loaded()
