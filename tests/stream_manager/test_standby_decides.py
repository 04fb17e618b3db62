"""When a standby takes over, and when it must not: by lease, lock and signs of life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.clock import ManualClock
from emdata.errors import StateUnavailable
from emdata.state.leases import Lease
from stream_manager.availability import standby as module
from stream_manager.availability.fence import BufferInUse, Claim, claim
from stream_manager.availability.standby import SILENT_LEASES, Standby

SECONDS = 3.0


@dataclass
class Database:
    """The leases of one writer, without a database: expired or not, away or not."""

    holder: str = "first"
    is_expired: bool = False
    is_away: bool = False
    taken_by_other: bool = False
    released: list[str] = field(default_factory=list)

    def lease(self) -> Lease:
        """The row."""
        now = datetime.now(UTC)
        return Lease(1, self.holder, 1, now, self.is_expired, None, None)

    def look(self, _engine: Engine, _writer: int, _standby: str) -> Lease:
        """As look_at_lease."""
        if self.is_away:
            raise StateUnavailable("away")
        return self.lease()

    def take(self, _engine: Engine, _writer: int, holder: str, _seconds: float) -> Lease | None:
        """As take_lease."""
        if self.is_away:
            raise StateUnavailable("away")
        if self.taken_by_other or not self.is_expired:
            return None
        self.holder, self.is_expired = holder, False
        return self.lease()

    def release(self, _engine: Engine, _writer: int, holder: str) -> None:
        """As release_lease."""
        self.released.append(holder)
        self.is_expired = True


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(module, "look_at_lease", made.look)
    monkeypatch.setattr(module, "take_lease", made.take)
    monkeypatch.setattr(module, "release_lease", made.release)
    return made


@dataclass
class World:
    """A holder of the buffer, who shows life when told, and a standby."""

    held: Claim
    standby: Standby
    clock: ManualClock
    beats: int = 0

    def pass_time(self, seconds: float, *, is_alive: bool) -> Claim | None:
        """Let time pass in looks of the standby; returns what it took."""
        for _ in range(round(seconds / self.standby.interval)):
            self.clock.advance(self.standby.interval)
            if is_alive:
                self.held.pulse()
            taken = self.standby.look()
            if taken is not None:
                return taken
        return None


@pytest.fixture
def world(tmp_path: Path) -> World:
    clock = ManualClock()
    engine = sa.create_engine("postgresql+psycopg://")  # never asked: the leases are the test's
    return World(
        claim(tmp_path),
        Standby(
            tmp_path,
            engine,
            1,
            holder="second",
            seconds=SECONDS,
            clock=clock,
        ),
        clock,
    )


def test_a_free_lock_waits_for_the_end_of_the_lease(world: World, database: Database) -> None:
    world.held.close()
    assert world.pass_time(60, is_alive=False) is None
    database.is_expired = True
    taken = world.standby.look()
    assert taken is not None
    taken.check()
    assert database.holder == "second"


def test_a_holder_that_shows_life_is_never_followed(world: World, database: Database) -> None:
    database.is_expired = True  # it lost PostgreSQL, and this standby did not
    assert world.pass_time(60, is_alive=True) is None
    world.held.check()


def test_a_silent_holder_that_keeps_its_lock_is_followed_after_its_time(
    world: World, database: Database
) -> None:
    database.is_expired = True
    world.standby.look()
    assert world.pass_time(SILENT_LEASES * SECONDS - 1, is_alive=False) is None
    assert world.pass_time(2, is_alive=False) is not None


def test_silence_alone_is_not_enough(world: World, database: Database) -> None:
    assert world.pass_time(60, is_alive=False) is None
    world.held.check()


def test_nothing_is_taken_while_postgresql_is_away(world: World, database: Database) -> None:
    database.is_expired = database.is_away = True
    world.held.close()
    assert world.pass_time(60, is_alive=False) is None
    database.is_away = False
    assert world.standby.look() is not None


def test_of_two_standbys_the_one_without_the_lease_waits(world: World, database: Database) -> None:
    database.is_expired = database.taken_by_other = True
    world.held.close()
    assert world.pass_time(10, is_alive=False) is None


def test_a_lease_is_given_back_when_the_buffer_cannot_be_had(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> Claim:
        raise BufferInUse("restarted in between")

    database.is_expired = True
    world.held.close()
    monkeypatch.setattr(module, "claim", refuse)
    assert world.standby.look() is None
    assert database.released == ["second"]
