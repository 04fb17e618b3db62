"""Old polls go, and what they counted stays; on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from emdata.commits import Commit, DatasetCounts, Dead
from emdata.contracts.identity import utc_text
from emdata.state.apply import apply_commit
from emdata.state.freshness import freshness
from emdata.state.ledger import HourRow, hours, is_landed, settle
from emdata.state.prune import prune_polls
from emdata.state.reads import load_high_seqs, register_streams
from emdata.state.tables import metadata
from tests.stream_manager.making import commit as made_commit
from tests.stream_manager.test_session import Thing
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NAME = Thing.dataset.name


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        yield running


class Table:
    """A raw table in which everything has landed."""

    def query(self, sql: str, args: tuple[int, int, int]) -> list[dict[str, Any]]:
        _, above, _ = args
        ends = [int(part.split()[0]) for part in sql.split("seq <= ")[1:-1]]
        found = {f"landed_{i}": end - above for i, end in enumerate(ends)}
        return [{**found, "newest_event": None, "newest_accepted": datetime(2026, 11, 21)}]  # noqa: DTZ001


def poll(stream: str, number: int, days_ago: float, **changes: Any) -> Commit:
    """A poll with one ignored row and two records, one of them accepted."""
    at = utc_text(NOW - timedelta(days=days_ago))
    counts = DatasetCounts(
        records=2, unchanged=1, accepted=1, first_seq=number, last_seq=number,
        newest_event_at=at,
    )  # fmt: skip
    frame = made_commit(f"{stream}-{number}", stream=stream)
    return msgspec.structs.replace(
        frame,
        source=stream,
        writer=50,
        started_at=at,
        finished_at=at,
        rows=3,
        rows_ignored=1,
        rows_parsed=2,
        datasets={NAME: counts},
        **changes,
    )


def left(engine: Engine, stream: str) -> list[int]:
    """The numbers of a stream's polls that are kept."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT poll_id FROM polls WHERE stream = :s"), {"s": stream}
        )
        return sorted(int(row[0].rpartition("-")[2]) for row in rows)


def of(engine: Engine, source: str) -> list[HourRow]:
    found = hours(engine, since=NOW - timedelta(days=365))
    return [one for one in found if one.source == source]


def test_the_migrations_give_the_tables_that_the_code_names(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, metadata)
    assert not [change for change in found if "alembic_version" not in str(change)]


def test_hours_balance_before_and_after_and_the_newest_of_a_stream_stays(engine: Engine) -> None:
    register_streams(engine, [{
        "stream": "old", "source": "old", "writer": 50, "datasets": [NAME],
        "every_seconds": 60, "is_on": True, "updated_at": NOW,
    }])  # fmt: skip
    for number, days in enumerate((100, 100, 95, 91, 2), start=1):
        apply_commit(engine, poll("old", number, days))
    settle(engine, Table(), Thing, 50, 5, now=NOW)  # type: ignore[arg-type]
    before = of(engine, "old")
    fresh = freshness(engine, {NAME: Thing}, NOW)
    assert prune_polls(engine, before=NOW - timedelta(days=90)) == 4
    assert prune_polls(engine, before=NOW - timedelta(days=90)) == 0
    assert left(engine, "old") == [5]
    assert of(engine, "old") == before
    assert freshness(engine, {NAME: Thing}, NOW) == fresh
    assert load_high_seqs(engine, 50)[NAME] == 5
    assert is_landed(engine, ["old-1", "old-5"])
    with engine.connect() as connection:
        (rows,) = connection.execute(sa.text(
            "SELECT sum(polls), sum(rows), sum(rows_ignored), sum(rows_parsed) FROM ledger_hours"
            " WHERE source = 'old' AND dataset = ''"
        ))  # fmt: skip
    assert [int(one) for one in rows] == [4, 12, 4, 8]


def test_an_hour_summed_up_in_parts_and_partly_kept_adds_up(engine: Engine) -> None:
    for number in range(6, 12):
        apply_commit(engine, poll("parts", number, 100))
    settle(engine, Table(), Thing, 50, 11, now=NOW)  # type: ignore[arg-type]
    before = of(engine, "parts")
    assert (before[0].polls, before[0].records, before[0].accepted) == (6, 12, 6)
    cutoff = NOW - timedelta(days=90)
    assert [prune_polls(engine, before=cutoff, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert of(engine, "parts") == before


def test_what_has_not_landed_and_what_letters_wait_for_stays(engine: Engine) -> None:
    dead = Dead("stay-1", "stay", None, None, "stay-12", "row", "r", b"x", 1, utc_text(NOW))
    with_letter = poll("stay", 12, 100, deads=[dead])
    for frame in (with_letter, poll("stay", 13, 100), poll("stay", 14, 1)):
        apply_commit(engine, frame)
    cutoff = NOW - timedelta(days=90)
    assert prune_polls(engine, before=cutoff) == 0, "nothing of it has landed"
    assert not of(engine, "stay")[-1].is_settled
    settle(engine, Table(), Thing, 50, 14, now=NOW)  # type: ignore[arg-type]
    assert prune_polls(engine, before=cutoff) == 1
    assert left(engine, "stay") == [12, 14]
    assert of(engine, "stay")[-1].is_settled
