"""Control as streams feel it: breakers, throttling, quotas, limits, and who runs which stream."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from emdata.clock import ManualClock, SystemClock
from emdata.commits import Commit
from emdata.contracts.base import Priority, Record
from emdata.errors import SettingError, SourceUnavailable, StateUnavailable
from emdata.settings import load_settings
from emdata.state.audit import AuditEntry
from emdata.state.requests import Request
from stream_manager.connector import PollReport, StreamConfig, choose_streams
from stream_manager.control.audit import AuditTrail
from stream_manager.control.breaker import State
from stream_manager.control.control import Control, ControlConfig
from stream_manager.control.critical import CriticalLimits
from stream_manager.control.lag import LagMeter, LagUnknown, Place, Position
from stream_manager.control.throttle import Level
from stream_manager.polls.session import PollSession
from stream_manager.streams import Stream
from tests.stream_manager.making import commit as made_commit
from tests.stream_manager.test_manager import Made, World, good, world  # noqa: F401  a fixture
from tests.stream_manager.test_session import Thing, thing
from tests.support.waiting import wait_for

SLOW_S = 10.0


def stream(every: float = 1200.0) -> Stream:
    made = Stream(Made("s", good), StreamConfig(every))
    made.breaker._jitter = lambda: 1.0
    made.breaker._longest_s = every
    return made


def ended(outcome: str = "ok", error_class: str | None = None) -> Commit:
    return msgspec.structs.replace(made_commit(), outcome=outcome, error_class=error_class)


class Driven:
    """A stream whose polls end as told, on a virtual clock."""

    def __init__(self, every: float = 1200.0) -> None:
        self.stream, self.clock = stream(every), ManualClock()

    def poll(self, commit: Commit, report: PollReport | None = None, extra_s: float = 0.0) -> float:
        """Return how long the stream waits after such a poll; that time passes."""
        said = report or PollReport()
        self.stream.begin_poll(self.clock.monotonic())
        now = self.clock.monotonic()
        self.stream.judge(commit, said, now, SLOW_S)
        wait = self.stream.wait_after(commit, said, now, took=0.0, extra_s=extra_s)
        self.clock.advance(wait)
        return wait


def test_a_source_that_fails_is_tried_at_0_2_and_4_seconds_then_ever_more_seldom() -> None:
    driven = Driven(every=300)
    failed = ended("failed", "source_unavailable")
    assert [driven.poll(failed) for _ in range(7)] == [2, 4, 60, 120, 240, 300, 300]
    assert driven.stream.breaker.state is State.OPEN
    assert driven.poll(ended()) == 300
    assert driven.stream.breaker.state is State.CLOSED


def test_a_source_that_answers_slower_than_10_seconds_three_times_is_left_alone() -> None:
    driven = Driven(every=30)
    slow, quick = PollReport((10.1,)), PollReport((9.9,))
    assert [driven.poll(ended(), slow), driven.poll(ended(), slow)] == [30, 30]
    assert driven.poll(ended(), quick) == 30
    assert [driven.poll(ended(), slow) for _ in range(3)] == [30, 30, 60]
    assert driven.stream.breaker.state is State.OPEN
    assert driven.poll(ended(), quick) == 30, "the probe was quick"


def test_three_slow_answers_of_one_poll_are_enough_and_a_quick_one_between_is_not() -> None:
    assert Driven(30).poll(ended(), PollReport((11, 11, 11))) == 60
    assert Driven(30).poll(ended(), PollReport((11, 11, 1, 11))) == 30


def test_a_source_that_names_a_time_is_not_asked_before() -> None:
    driven = Driven()
    report = PollReport(retry_after_s=500.0)
    assert driven.poll(ended("failed", "source_throttled"), report) == 500


def test_trouble_of_our_own_buffer_is_not_held_against_the_source() -> None:
    driven = Driven()
    for _ in range(5):
        assert driven.poll(ended("failed", "buffer_unavailable")) == 30
    assert driven.stream.breaker.state is State.CLOSED


def test_fault_20_a_throttled_stream_waits_longer_and_says_so() -> None:
    driven = Driven(every=300)
    assert driven.poll(ended(), extra_s=120) == 420
    assert driven.stream.row()["throttled_s"] == 120


@pytest.mark.parametrize(
    ("every", "mode", "size"),
    [
        (3600.1, "batch", 1000),
        (3600, "real_time", 500),
        (30, "real_time", 500),
        (29.9, "continuous", 100),
    ],
)
def test_the_mode_is_chosen_by_the_interval(every: float, mode: str, size: int) -> None:
    row = stream(every).row()
    assert (row["mode"], row["batch_size"]) == (mode, size)


async def test_an_open_breaker_is_probed_when_somebody_asks(world: World) -> None:  # noqa: F811
    polls: list[int] = []

    async def bad(session: PollSession, _arguments: dict[str, Any]) -> None:
        polls.append(1)
        await session.finish("failed", error=SourceUnavailable("away"))

    made = world.start("s", bad, every=3600)
    await world.until(lambda: len(polls) == 3)
    made.breaker._open_s = made.breaker._next_s = 3600
    await world.until(lambda: made.breaker.state is State.OPEN)
    count = len(polls)
    world.manager.request(Request(1, "s", "poll", {}))
    await world.until(lambda: len(polls) > count)


async def test_a_tenant_beyond_its_quota_is_deferred_and_the_others_are_not(
    world: World,  # noqa: F811
) -> None:
    world.manager.control.quotas._quotas["lab"] = 100
    world.waiting = {"lab": 100, "public": 10**6}
    world.start("flood", good, every=3600, tenant="lab")
    world.start("calm", good, every=3600)
    await world.until(lambda: world.outcomes("flood") and world.outcomes("calm"))
    counts = {one.stream: one.datasets["made_things"] for one in world.commits}
    assert (counts["flood"].deferred, counts["flood"].accepted) == (1, 0)
    assert counts["calm"].accepted + counts["calm"].unchanged == 1
    assert next(one for one in world.commits if one.stream == "flood").cursor is None
    assert [row["stream"] for row in world.manager.status("lab")] == ["flood"]
    assert world.manager.tenants() == [
        {"tenant": "lab", "streams": 1, "waiting": 100, "quota": 100},
        {"tenant": "public", "streams": 1, "waiting": 10**6, "quota": None},
    ]
    assert REGISTRY.get_sample_value("stream_active_streams", {"tenant": "lab"}) == 1
    await world.manager.stop_streaming("flood")
    assert REGISTRY.get_sample_value("stream_active_streams", {"tenant": "lab"}) == 0


async def test_a_flood_of_alarms_is_taken_whole_and_what_passes_the_limit_as_high(
    world: World,  # noqa: F811
) -> None:
    world.manager.control.gate._limits = CriticalLimits(per_source=3, in_all=9)

    async def alarming(session: PollSession, _arguments: dict[str, Any]) -> None:
        alarms = [Alarm(thing_id=f"t{n}", text="a", at=thing(1).at) for n in range(5)]
        things = [thing(n) for n in range(4)]
        await session.row_parsed([*alarms, *things])
        await session.finish("ok")

    connector = Made("alarms", alarming)
    connector.emits = (Alarm, Thing)
    world.manager.start_streaming(connector, StreamConfig(3600))
    await world.until(lambda: world.outcomes("alarms"))
    depths = {"CRITICAL": 3, "HIGH": 2, "NORMAL": 0, "LOW": 4}
    await world.until(lambda: world.intake.queues.depths() == depths)
    assert world.manager.status()[0]["priority"] == "CRITICAL"


async def test_a_tenant_fills_its_quota_and_no_more(world: World) -> None:  # noqa: F811
    quotas = world.manager.control.quotas
    quotas._waiting, quotas._quotas["lab"] = world.intake.queues.waiting, 300

    async def flood(session: PollSession, _arguments: dict[str, Any]) -> None:
        for number in range(5000):
            await session.row_parsed([thing(number, session.context.poll_id)])
        await session.finish("ok")

    world.start("flood", flood, every=1, tenant="lab")
    world.start("calm", good, every=3600)
    await world.until(lambda: world.outcomes("flood") and world.outcomes("calm"))
    accepted = {one.stream: one.datasets["made_things"].accepted for one in world.commits}
    # LOW up to 90 %, and what was in the batches under way: of 100 records in this mode.
    assert 270 <= accepted["flood"] <= 270 + 2 * 100
    assert accepted["calm"] == 1


async def test_starting_twice_stopping_nothing_and_a_strange_tenant_are_refused(
    world: World,  # noqa: F811
) -> None:
    world.start("s", good)
    with pytest.raises(ValueError, match="stream s runs already"):
        world.start("s", good)
    with pytest.raises(ValueError, match="stream t does not run; running: s"):
        await world.manager.stop_streaming("t")
    for name in ("", "Lab", "a b", "x" * 64, 'a"b'):
        with pytest.raises(ValueError, match="tenant"):
            world.start("u", good, tenant=name)
    assert [row["stream"] for row in world.manager.status()] == ["s"]


async def test_several_managers_side_by_side_run_the_streams_that_each_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [(Made(name, good), StreamConfig(0.01)) for name in ("a", "b", "c")]
    worlds = {}
    for number, told in ((1, "a"), (2, "b, c")):
        settings = load_settings({"EMDATA_STREAMS": told}, env_file=None)
        worlds[number] = World(tmp_path / str(number), monkeypatch)
        for connector, config in choose_streams(every, settings.streams):
            worlds[number].manager.start_streaming(connector, config)
    try:
        # Both write into the newer world's list; the streams do not overlap.
        await worlds[2].until(lambda: all(worlds[2].outcomes(name) for name in ("a", "b", "c")))
        assert [row["stream"] for row in worlds[1].manager.status()] == ["a"]
        assert [row["stream"] for row in worlds[2].manager.status()] == ["b", "c"]
        assert not worlds[1].manager.request(Request(1, "b", "poll", {}))
        assert worlds[2].manager.request(Request(1, "b", "poll", {}))
    finally:
        for one in worlds.values():
            await one.manager.stop()
            await asyncio.to_thread(one.intake.stop)


def test_no_choice_runs_every_stream_and_an_unknown_one_is_named() -> None:
    every = [(Made(name, good), StreamConfig(1)) for name in ("a", "b")]
    assert choose_streams(every, ()) == every
    with pytest.raises(SettingError, match=r"EMDATA_STREAMS.*'z'.*allowed: a, b"):
        choose_streams(every, ("a", "z"))


class Alarm(Thing, frozen=True, kw_only=True):
    """A record that asks for CRITICAL and may have it."""

    dataset = replace(Thing.dataset, name="alarms", approved_critical=True)

    def priority(self) -> Priority:
        return Priority.CRITICAL


class Controlled:
    """Control on a virtual clock, with what it told."""

    def __init__(self, **config: Any) -> None:
        self.clock = ManualClock()
        self.depths = dict.fromkeys(("CRITICAL", "HIGH", "NORMAL", "LOW"), 0)
        self.lag_s: float | None = None
        self.audited: list[tuple[str, str]] = []
        self.control = Control(
            ControlConfig(**config),
            self.clock,
            depths=lambda: self.depths,
            waiting=lambda _tenant: 0,
            lag_s=lambda: self.lag_s,
            audit=lambda event, subject, **_details: self.audited.append((event, subject)),
        )

    def alarm(self, source: str = "county", tenant: str = "public") -> Priority:
        record: Record = Alarm(thing_id="t", text="a", at=thing(1).at)
        return self.control.decider(source, tenant)(record)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.control.tick()


def test_a_flood_of_critical_is_demoted_counted_audited_and_never_refused() -> None:
    made = Controlled(critical=CriticalLimits(per_source=3, in_all=9, official=5, pause_s=300))
    before = REGISTRY.get_sample_value(
        "stream_critical_demoted_total", {"source": "county", "reason": "limit"}
    )
    got = [made.alarm() for _ in range(5)]
    assert got == [Priority.CRITICAL] * 3 + [Priority.HIGH] * 2
    after = REGISTRY.get_sample_value(
        "stream_critical_demoted_total", {"source": "county", "reason": "limit"}
    )
    assert (after or 0) - (before or 0) == 2
    assert made.control.status()["critical_paused"] == ["county"]
    labels = {"kind": "critical", "name": "county"}
    assert REGISTRY.get_sample_value("stream_circuit_breaker_state", labels) == 1
    made.run(301)
    assert REGISTRY.get_sample_value("stream_circuit_breaker_state", labels) == 0
    assert made.audited == [("critical_demoted", "county"), ("critical_allowed_again", "county")]
    assert made.alarm() is Priority.CRITICAL


def test_a_tenant_does_not_get_the_official_limit_by_calling_itself_official() -> None:
    made = Controlled(critical=CriticalLimits(per_source=1, in_all=9, official=5))
    official = [made.alarm("nws") for _ in range(6)]
    claimed = [made.alarm("nws", "lab") for _ in range(2)]
    assert official.count(Priority.CRITICAL) == 5
    assert claimed == [Priority.CRITICAL, Priority.HIGH]


def test_more_than_50_waiting_critical_raise_an_alert_and_an_audit_entry_once() -> None:
    made = Controlled()
    for waiting in (50, 51, 80, 40, 25):
        made.depths["CRITICAL"] = waiting
        made.control.tick()
        raised = REGISTRY.get_sample_value("stream_critical_overflow")
        assert raised == (1 if waiting in (51, 80, 40) else 0)
    assert made.audited == [
        ("critical_overflow", "queue CRITICAL"),
        ("critical_overflow_over", "queue CRITICAL"),
    ]


def test_fault_20_lag_and_depth_throttle_and_a_critical_backlog_does_not() -> None:
    made = Controlled()
    made.depths["CRITICAL"] = 10**6
    made.run(30)
    assert made.control.throttle.level is Level.NONE
    made.lag_s = 130.0
    made.run(30)
    assert made.control.throttle.level is Level.MODERATE
    assert REGISTRY.get_sample_value("stream_throttling_active") == 2
    made.lag_s = None
    made.depths["LOW"] = 9000
    made.run(30)
    assert made.control.throttle.level is Level.SEVERE
    assert made.control.throttle.extra_wait(Priority.CRITICAL) == 0
    assert made.control.status()["throttling"] == "severe"


@contextmanager
def trail(store: Any) -> Iterator[AuditTrail]:
    made = AuditTrail(1, ManualClock(), store)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_an_audit_entry_never_waits_for_postgres_and_gets_there_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_manager.control.audit.RETRY_S", 0.01)
    stored: list[AuditEntry] = []
    go, is_away = threading.Event(), True

    def store(entries: list[AuditEntry]) -> None:
        if is_away:
            go.wait(10)
            raise StateUnavailable("away")
        stored.extend(entries)

    with trail(store) as made:
        made.note("critical_overflow", "queue CRITICAL", waiting=51)
        made.note("critical_demoted", "county")
        assert (made.waiting(), stored) == (2, [])
        is_away = False
        go.set()
        wait_for(lambda: not made.waiting(), 10, "the audit entries to be stored")
    assert [entry.event for entry in stored] == ["critical_overflow", "critical_demoted"]
    assert stored[0].details == {"waiting": 51}


class Hanging:
    """A Kafka that takes a question and never answers, until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def positions(self, group: str, topic: str) -> dict[Place, Position]:
        self.asked.set()
        self.go.wait(30)
        raise LagUnknown("at last")

    def close(self) -> None:
        pass


def test_fault_19_control_goes_on_while_kafka_and_postgres_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_manager.control.lag.STOP_S", 0.05)
    kafka, go, stored = Hanging(), threading.Event(), threading.Event()

    def store(_entries: list[AuditEntry]) -> None:
        stored.set()
        go.wait(30)

    made = Controlled()
    meter = LagMeter(kafka, {"group": "topic"}, SystemClock())
    made.control._lag_s = meter.worst
    meter.start()
    with trail(store) as audit:
        made.control._audit = audit.note
        made.depths["CRITICAL"] = 51
        assert kafka.asked.wait(10)
        began = time.monotonic()
        made.control.tick()
        assert stored.wait(10)
        made.depths["CRITICAL"] = 0
        made.control.tick()
        assert made.alarm() is Priority.CRITICAL
        meter.stop()
        assert time.monotonic() - began < 5
        assert audit.waiting() == 2
        go.set()
        kafka.go.set()
