"""The world of the end-to-end tests: a platform, and a simulator that is its witness.

The simulated clock stands still while a round is polled, so that a version that was served but
whose reader was killed is served again to the next poll; that makes the comparison exact. The same
rounds run on processes (tests/e2e) and on containers (tests/containers).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from emdata.contracts.api_usage import ApiUsage
from emdata.contracts.derived import EscalationNotice
from emdata.state import connect
from emdata.state.ledger import HourRow, balances, hours, is_landed
from emdata.state.requests import Request, answers, ask_polls
from runtime.tasks import state_dsn
from scrapers.base import find_scrapers
from scrapers.unpolled import UNPOLLED
from tests.support import recount
from tests.support.host import Host
from tests.support.waiting import wait_for
from tests.support.witness import Difference, Simulator, differences, hour_differences

STREAMS = len(find_scrapers()) + len(UNPOLLED)
P = TypeVar("P", bound=Host)


class World(Generic[P]):
    """A running platform, its simulator, and what PostgreSQL and StarRocks say of them."""

    def __init__(self, platform: P) -> None:
        self.platform = platform
        self.simulator = Simulator(platform.settings.simulator_port)
        self.engine = connect(state_dsn(platform.context))
        self.warehouse = platform.warehouse()

    def ask(self, *streams: str) -> list[int]:
        """Ask for a poll of the named streams, or of all."""
        rows = self.platform.state_sql("SELECT stream FROM streams")
        known = [row["stream"] for row in rows]
        assert len(known) == STREAMS, known
        return ask_polls(self.engine, streams or list(find_scrapers()), "test")

    def answered(self, ids: list[int]) -> list[str]:
        """Wait until the polls are done; returns the ids of their polls."""
        done: list[Request] = []

        def is_done() -> bool:
            done[:] = answers(self.engine, ids)
            return bool(done) and all(row.is_done for row in done)

        wait_for(is_done, 180, "the manager to answer", interval=0.2)
        bad = [row for row in done if row.outcome not in ("ok", "not_modified")]
        assert not bad, bad
        return [row.poll_id or "" for row in done]

    def settled(self, polls: list[str]) -> None:
        """Wait until what the polls accepted has landed."""
        wait_for(
            lambda: is_landed(self.engine, polls), 180, "what was polled to land", interval=0.2
        )

    def poll(self, *streams: str) -> None:
        """Poll, and wait until everything has landed. CoAgMet may be asked every 5 s only."""
        self.settled(self.answered(self.ask(*streams)))

    def advance(self, seconds: float) -> None:
        """Move the simulated clock, which stands still otherwise."""
        self.simulator.ask("clock", {"advance_seconds": seconds})


@contextmanager
def frozen_world(platform: P) -> Iterator[World[P]]:
    """The world of a started platform: its clock stands still, its streams are registered."""
    world = World(platform)
    try:
        world.simulator.ask("clock", {"freeze": True})
        wait_for(
            lambda: len(platform.state_sql("SELECT stream FROM streams")) == STREAMS,
            120,
            "all streams to be registered",
        )
        yield world
    finally:
        world.engine.dispose()


def assert_equal_to_the_witness(world: World[Any]) -> None:
    """Check that every version that the simulator served has landed, once, and nothing else."""
    found: list[Difference] = differences(world.simulator, world.warehouse)
    assert hour_differences(world.simulator, world.warehouse) == []
    assert found == [], [
        (one.dataset, one.served, one.landed, dict(list(one.keys.items())[:5])) for one in found
    ]


def assert_ledger_settled(world: World[Any]) -> None:
    """Check that all that was accepted has landed, also what notices follow from the last poll."""
    since = datetime.now(UTC) - timedelta(days=1)
    rows: list[dict[str, Any]] = []
    by_hour: list[HourRow] = []

    def settled() -> bool:
        # One look at both: escalation notices are accepted at times of their own.
        by_hour[:], rows[:] = hours(world.engine, since=since), balances(world.engine)
        return all(one.is_settled for one in by_hour) and all(
            row["on_the_way"] == 0 for row in rows
        )

    wait_for(settled, 60, "the ledger to settle")
    polled = {one.dataset.name for scraper in find_scrapers().values() for one in scraper.emits}
    # What nobody polls may be there: notices, and what a test asked of the API
    unpolled = {EscalationNotice.dataset.name, ApiUsage.dataset.name}
    assert {row["dataset"] for row in rows} - unpolled == polled
    for row in rows:
        assert row["high_seq"] == row["landed"] + row["dead"]
        assert row["dead"] == 0
    for hour in by_hour:
        parts = hour.unchanged + hour.rejected + hour.deferred + hour.accepted
        assert hour.records == parts


def assert_windows_equal_a_recount(world: World[Any]) -> None:
    """Check every window against a count over what the simulator served."""
    served = world.simulator.served
    seen = {
        row["k"]: row["first"]
        for row in world.warehouse.query(
            "SELECT record_key AS k, MIN(accepted_at) AS first"
            " FROM raw_data.fema_disaster_declarations GROUP BY record_key"
        )
    }
    declarations = served("fema_disaster_declarations")
    expected = {
        ("alerts_hourly", 4): recount.alerts_hourly(served("nws_alert_zones")),
        ("disaster_alerts_daily", 3): recount.disaster_alerts_daily(declarations),
        ("disaster_alerts_hourly", 3): recount.disaster_alerts_hourly(declarations, seen),
        ("weather_station_daily", 2): recount.weather_station_daily(
            served("coagmet_hourly_observations")
        ),
    }
    for (view, keys), windows in expected.items():
        assert windows, view

        def equal(view: str = view, keys: int = keys, windows: recount.Windows = windows) -> bool:
            return recount.read_windows(world.warehouse, view, keys) == windows

        try:
            wait_for(equal, 90, f"{view} to equal its recount", interval=0.5)
        except AssertionError:
            found = recount.read_windows(world.warehouse, view, keys)
            wrong = {
                key: (windows.get(key), found.get(key))
                for key in windows.keys() | found.keys()
                if windows.get(key) != found.get(key)
            }
            raise AssertionError(
                f"{view}: {len(wrong)} of {len(windows)} windows differ (recount, found): "
                f"{list(wrong.items())[:5]}"
            ) from None


def wait_for_moment(world: World[Any], ids: list[int], moment: str) -> None:
    """Kill at once, after the first poll is done, or after something of the round has landed."""
    if moment == "first answer":
        wait_for(
            lambda: any(row.is_done for row in answers(world.engine, ids)),
            60,
            moment,
            interval=0.01,
        )
    elif moment == "first landing":
        query = "SELECT COUNT(*) AS n FROM raw_data.nws_alerts"
        before = world.platform.sql(query)[0]["n"]
        wait_for(lambda: world.platform.sql(query)[0]["n"] > before, 90, moment, interval=0.02)
