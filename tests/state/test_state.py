"""The state on a real PostgreSQL: idempotent, balanced, heard."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from emdata.commits import Commit, DatasetCounts, Dead, SeenUpdate
from emdata.contracts import contracts
from emdata.contracts.base import Dataset, Record, UtcDatetime
from emdata.contracts.identity import utc_text
from emdata.errors import StateUnavailable
from emdata.state import connect, upgrade
from emdata.state.apply import apply_commit, apply_commits, apply_dead
from emdata.state.freshness import freshness
from emdata.state.ledger import Balance, HourRow, hours, is_landed, settle
from emdata.state.reads import load_cursor, load_high_seqs, load_seen, register_streams
from emdata.state.requests import answers, ask_polls, open_requests
from emdata.state.requests import wait_for as wait_for_answers
from runtime.tasks import state_dsn
from stream_manager.requests import RequestListener
from tests.stream_manager.making import commit as made_commit
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_NUMBERS = itertools.count(1)


class Thing(Record, frozen=True, kw_only=True):
    """A record for these tests."""

    thing_id: str
    at: UtcDatetime
    dataset = Dataset(
        name="things",
        source="made",
        domain="test",
        title="Things",
        key=("thing_id",),
        event_time="at",
        fresh_within="1h",
        terms="none",
    )


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        yield running


def a_commit(name: str, *, accepted: int = 0, first: int = 1, **changes: Any) -> Commit:
    """A commit of a dataset and stream of its own."""
    counts = DatasetCounts(records=accepted, accepted=accepted)
    if accepted:
        counts.first_seq, counts.last_seq = first, first + accepted - 1
    poll_id = f"{name}-{next(_NUMBERS)}"
    return msgspec.structs.replace(
        made_commit(poll_id, stream=name),
        **{
            "rows": accepted,
            "rows_parsed": accepted,
            "datasets": {name: counts},
            "finished_at": utc_text(NOW),
            **changes,
        },
    )


def rows_of(engine: Engine, query: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def test_the_schema_is_brought_up_to_date_once(platform: Platform, engine: Engine) -> None:
    dsn = state_dsn(platform.context)
    assert upgrade(dsn) == upgrade(dsn)
    (row,) = rows_of(engine, "SELECT version_num FROM alembic_version")
    assert row["version_num"] == upgrade(dsn)


def test_a_commit_applied_twice_changes_nothing(engine: Engine) -> None:
    dead = Dead("d1", "twice", None, None, "p", "row", "nul \x00 and \ud800", b"\x00\xff", 2, AT)
    update = SeenUpdate(b"k" * 16, b"c" * 16, "v1", 3)
    frame = a_commit("twice", accepted=3, seen={"twice": [update]}, deads=[dead])
    assert apply_commit(engine, frame)
    before = _everything(engine)
    assert not apply_commit(engine, frame)
    assert _everything(engine) == before
    (row,) = rows_of(engine, "SELECT reason, payload, occurrences FROM dead_letters WHERE id='d1'")
    assert row["reason"] == "nul \\u0000 and \\ud800"
    assert (bytes(row["payload"]), row["occurrences"]) == (b"\x00\xff", 2)
    assert load_seen(engine, "twice") == {b"k" * 16: b"c" * 16}
    assert load_cursor(engine, "twice") == {"at": 1}
    assert load_high_seqs(engine, 1)["twice"] == 3


AT = utc_text(NOW)


def _everything(engine: Engine) -> list[list[dict[str, Any]]]:
    tables = ("polls", "poll_datasets", "seen", "cursors", "dead_letters")
    return [rows_of(engine, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 4},
        {"datasets": {"odd": DatasetCounts(records=2, accepted=1, first_seq=1, last_seq=1)}},
        {"datasets": {"odd": DatasetCounts(records=5, accepted=5, first_seq=1, last_seq=2)}},
        {"datasets": {"odd": DatasetCounts(records=1, accepted=1)}},
        {"outcome": "perhaps"},
    ],
)
def test_a_poll_that_does_not_add_up_cannot_be_stored(
    engine: Engine, changes: dict[str, Any]
) -> None:
    frame = a_commit("odd", accepted=1, **changes)
    with pytest.raises(IntegrityError):
        apply_commit(engine, frame)
    assert rows_of(engine, f"SELECT * FROM polls WHERE poll_id = '{frame.poll_id}'") == []
    assert load_cursor(engine, "odd") == {}


def test_an_interrupted_poll_applied_late_does_not_turn_back_what_was_seen(
    engine: Engine,
) -> None:
    newer = [SeenUpdate(b"k" * 16, b"n" * 16, None, 9)]
    older = [SeenUpdate(b"k" * 16, b"o" * 16, None, 5)]
    apply_commit(engine, a_commit("late", accepted=1, first=9, seen={"late": newer}))
    late = a_commit("late", accepted=1, first=5, seen={"late": older}, outcome="interrupted")
    apply_commit(engine, msgspec.structs.replace(late, cursor=None))
    assert load_seen(engine, "late") == {b"k" * 16: b"n" * 16}


def test_polls_applied_together_leave_what_they_leave_one_by_one(engine: Engine) -> None:
    def key(name: bytes, content: bytes, seq: int) -> SeenUpdate:
        return SeenUpdate(name * 16, content * 16, str(seq), seq)

    def frames(name: str) -> list[Commit]:
        dead = Dead(f"{name}-dead", name, None, None, "p", "row", "r", b"x", 1, AT)
        first = a_commit(
            name, accepted=2, seen={name: [key(b"a", b"1", 1), key(b"b", b"1", 2)]}, deads=[dead]
        )
        late = a_commit(name, accepted=1, first=3, seen={name: [key(b"a", b"2", 3)]}, deads=[dead])
        newer = a_commit(
            name, accepted=1, first=4, seen={name: [key(b"a", b"3", 4)]}, cursor={"at": 2}
        )
        empty = a_commit(name, cursor=None)
        return [first, newer, late, empty, first]

    apply_commits(engine, frames("together"))
    again = frames("together")[:1]
    alone = frames("alone")
    for frame in alone:
        apply_commit(engine, frame)
    for name in ("together", "alone"):
        assert load_seen(engine, name) == {b"a" * 16: b"3" * 16, b"b" * 16: b"1" * 16}
        assert load_cursor(engine, name) == {"at": 1}, "the poll that was applied last"
        (row,) = rows_of(
            engine, f"SELECT count(*), sum(accepted) FROM poll_datasets WHERE dataset = '{name}'"
        )
        assert (row["count"], row["sum"]) == (4, 4)
        (row,) = rows_of(engine, f"SELECT occurrences FROM dead_letters WHERE id = '{name}-dead'")
        assert row["occurrences"] == 2
        assert len(rows_of(engine, f"SELECT 1 FROM polls WHERE stream = '{name}'")) == 4
    refused = a_commit("together", accepted=1, rows=4)
    with pytest.raises(IntegrityError):
        apply_commits(engine, [*again, refused])
    assert len(rows_of(engine, "SELECT 1 FROM polls WHERE stream = 'together'")) == 4


def test_postgres_away_is_said_within_seconds_and_by_class(platform: Platform) -> None:
    away = connect("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(StateUnavailable):
        load_cursor(away, "any")


class Table:
    """A raw table that holds the given seqs; counts like StarRocks and notes what was asked."""

    def __init__(self, *seqs: int) -> None:
        self.seqs = set(seqs)
        self.floors: list[int] = []

    def query(self, sql: str, args: tuple[int, int, int]) -> list[dict[str, Any]]:
        _, above, high = args
        self.floors.append(above)
        ends = [int(part.split()[0]) for part in sql.split("seq <= ")[1:-1]]
        counted = [sum(above < seq <= end for seq in self.seqs) for end in ends]
        assert ends[-1] == high
        row: dict[str, Any] = {f"landed_{i}": n for i, n in enumerate(counted)}
        return [{**row, "newest_event": None, "newest_accepted": datetime(2026, 11, 21)}]  # noqa: DTZ001


def balance(engine: Engine, table: Table, high: int, *, writer: int = 7, **more: Any) -> Balance:
    return settle(engine, table, Thing, writer, high, now=NOW, **more)  # type: ignore[arg-type]


def test_the_ledger_counts_only_above_what_is_settled_and_stays_exact(engine: Engine) -> None:
    table = Table(1, 2, 3)
    first = balance(engine, table, 3)
    assert (first.landed, first.on_the_way, first.settled_seq) == (3, 0, 3)
    table.seqs |= {4, 6}
    second = balance(engine, table, 6, since=first)
    assert (second.landed, second.on_the_way, second.settled_seq) == (5, 1, 3)
    assert table.floors == [0, 3]
    apply_dead(engine, 7, Dead("7-things-5", "s", "things", 5, "p", "c", "r", b"", 1, AT))
    third = balance(engine, table, 6, since=second)
    assert (third.landed, third.dead, third.on_the_way, third.settled_seq) == (5, 1, 0, 6)
    whole = balance(engine, table, 6)
    assert (whole.landed, whole.dead, whole.settled_seq) == (5, 1, 6)


def test_under_a_steady_flow_older_marks_are_settled_though_the_newest_is_not(
    engine: Engine,
) -> None:
    table = Table(*range(1, 96))
    found = balance(engine, table, 100, writer=8, marks=(80, 90, 97))
    assert (found.settled_seq, found.on_the_way) == (90, 5)


def test_a_table_that_lost_rows_is_open_again_at_the_next_recount(engine: Engine) -> None:
    table = Table(*range(1, 11))
    before = balance(engine, table, 10, writer=9)
    table.seqs -= {4, 5}
    assert balance(engine, table, 10, writer=9, since=before).settled_seq == 10
    after = balance(engine, table, 10, writer=9)
    assert (after.settled_seq, after.on_the_way) == (0, 2)


def hour_of(source: str, engine: Engine) -> HourRow:
    (row,) = [one for one in hours(engine, since=NOW - timedelta(hours=1)) if one.source == source]
    return row


def test_an_hour_is_open_until_its_last_record_landed(engine: Engine) -> None:
    frame = a_commit("things", accepted=4, first=1, writer=10)
    apply_commit(engine, msgspec.structs.replace(frame, source="hourly"))
    balance(engine, Table(1, 2, 3), 4, writer=10)
    (row,) = [
        one for one in hours(engine, since=NOW - timedelta(hours=1)) if one.source == "hourly"
    ]
    assert (row.hour, row.accepted, row.is_settled) == (NOW.replace(minute=0), 4, False)
    assert not is_landed(engine, [frame.poll_id])
    balance(engine, Table(1, 2, 3, 4), 4, writer=10)
    (row,) = [
        one for one in hours(engine, since=NOW - timedelta(hours=1)) if one.source == "hourly"
    ]
    assert (row.records, row.unchanged, row.rejected, row.deferred) == (4, 0, 0, 0)
    assert row.is_settled
    assert is_landed(engine, [frame.poll_id])


FEMA = "fema_disaster_declarations"
HOURLY = "coagmet_hourly_observations"


def poll(minutes_ago: float, outcome: str = "ok", **changes: Any) -> dict[str, Any]:
    at = utc_text(NOW - timedelta(minutes=minutes_ago))
    return {"outcome": outcome, "finished_at": at, "started_at": at, "cursor": None, **changes}


def event(hours_ago: float) -> dict[str, Any]:
    at = utc_text(NOW - timedelta(hours=hours_ago))
    return {"newest_event_at": at}


STATES: list[tuple[str, str, list[dict[str, Any]], dict[str, Any], str]] = [
    ("off", FEMA, [poll(1)], {"is_on": False}, "off"),
    ("never polled", FEMA, [], {}, "late"),
    ("new event", FEMA, [poll(1, **event(2))], {}, "fresh"),
    ("no event for long", FEMA, [poll(1, **event(24 * 30))], {}, "quiet"),
    ("no event ever", FEMA, [poll(1)], {}, "quiet"),
    ("periodic, silent", HOURLY, [poll(1, **event(24))], {}, "upstream_stale"),
    ("silent poller", FEMA, [poll(60 * 5, **event(5))], {}, "late"),
    ("one failure", FEMA, [poll(5, **event(1)), poll(1, "failed", error_class="transient")], {},
     "fresh"),
    ("three failures", FEMA, [poll(9, **event(1))] + [
        poll(n, "failed", error_class="source_unavailable") for n in (3, 2, 1)], {}, "broken"),
    ("nonsense once", FEMA, [poll(9), poll(1, "failed", error_class="document")], {}, "broken"),
    ("recovered", FEMA, [poll(5, "failed", error_class="document"), poll(1, **event(1))], {},
     "fresh"),
    ("interrupted does not count", FEMA, [poll(5, **event(1)), poll(1, "interrupted")], {},
     "fresh"),
    ("304 is a success", FEMA, [poll(60 * 5, **event(1)), poll(1, "not_modified")], {}, "fresh"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "dataset", "polls", "stream", "state"), STATES)
def test_quiet_is_not_broken(
    engine: Engine,
    case: str,
    dataset: str,
    polls: list[dict[str, Any]],
    stream: dict[str, Any],
    state: str,
) -> None:
    name = case.replace(" ", "_")
    registration = {
        "stream": name,
        "source": "made",
        "writer": 1,
        "datasets": [dataset],
        "every_seconds": 1200,
        "is_on": True,
        "updated_at": NOW,
        **stream,
    }
    register_streams(engine, [registration])
    for changes in polls:
        counts = DatasetCounts(newest_event_at=changes.pop("newest_event_at", None))
        apply_commit(engine, a_commit(name, **{**changes, "datasets": {dataset: counts}}))
    (found,) = [one for one in freshness(engine, contracts(), NOW) if one.stream == name]
    assert found.state == state, found.why
    assert found.why


def test_what_was_accepted_and_does_not_land_makes_a_stream_late(engine: Engine) -> None:
    registration = {
        "stream": "stuck", "source": "made", "writer": 1, "datasets": ["stuck"],
        "every_seconds": 1200, "is_on": True, "updated_at": NOW,
    }  # fmt: skip
    register_streams(engine, [registration])
    apply_commit(engine, a_commit("stuck", accepted=2, **poll(5)))
    (found,) = [one for one in freshness(engine, contracts(), NOW) if one.stream == "stuck"]
    assert found.state == "late"
    assert "have not landed" in found.why


class Manager:
    """Takes requests for one stream and answers nothing by itself."""

    class intake:  # noqa: N801
        class config:  # noqa: N801
            writer = 1

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.heard = asyncio.Event()

    def request(self, request: Any) -> bool:
        if request.stream != "heard":
            return False
        self.taken.append(request.id)
        self.heard.set()
        return True

    def status(self) -> list[dict[str, Any]]:
        return [{"stream": "heard"}]


async def test_a_request_wakes_the_manager_at_once_and_its_answer_comes_back(
    engine: Engine,
) -> None:
    manager = Manager()
    listener = asyncio.create_task(RequestListener(manager, engine).run())  # type: ignore[arg-type]
    try:
        (early,) = await asyncio.to_thread(ask_polls, engine, ["heard"], "test")
        await asyncio.wait_for(manager.heard.wait(), 20)
        manager.heard.clear()
        (late,) = await asyncio.to_thread(ask_polls, engine, ["heard"], "test")
        async with asyncio.timeout(10):  # far below the look every 15 s
            while late not in manager.taken:  # the first one may be offered again meanwhile
                await manager.heard.wait()
                manager.heard.clear()
        assert {early, late} <= set(manager.taken)
        waiting = asyncio.create_task(
            asyncio.to_thread(wait_for_answers, engine, [early, late], 30.0)
        )
        frame = a_commit("heard", request_ids=[early, late])
        await asyncio.to_thread(apply_commit, engine, frame)
        found = await waiting
        assert [(one.outcome, one.poll_id) for one in found] == [("ok", frame.poll_id)] * 2
        assert all(one.stream != "heard" for one in open_requests(engine))
    finally:
        listener.cancel()


async def test_only_a_stream_that_nobody_runs_is_refused(engine: Engine) -> None:
    registration = {
        "stream": "elsewhere", "source": "made", "writer": 2, "datasets": ["x"],
        "every_seconds": 60, "is_on": True, "updated_at": NOW,
    }  # fmt: skip
    register_streams(engine, [registration])
    nobody, elsewhere = ask_polls(engine, ["nobody", "elsewhere"], "test")
    listener = asyncio.create_task(RequestListener(Manager(), engine).run())  # type: ignore[arg-type]
    try:
        (refused,) = await asyncio.to_thread(wait_for_answers, engine, [nobody], 20.0)
    finally:
        listener.cancel()
    assert refused.outcome == "failed"
    assert "running: heard" in (refused.error or "")
    assert not answers(engine, [elsewhere])[0].is_done
