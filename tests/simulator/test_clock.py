"""Simulated time: speed, advance, freeze; never back; kept over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.errors import SettingError
from simulator.clock import SimulatedClock
from tests.simulator.running import Simulator


def make(directory: Path, clock: ManualClock, **changed: Any) -> SimulatedClock:
    """Return the clock kept in ``directory``."""
    options: dict[str, Any] = {"seed": 1, "speed": 1.0, "active_alerts": 150, **changed}
    return SimulatedClock(directory / "clock.json", clock, **options)


def test_simulated_time_is_real_time_at_speed_one(tmp_path: Path) -> None:
    real = ManualClock()
    clock = make(tmp_path, real)
    real.advance(12.5)
    assert clock.now() == real.at.timestamp()


def test_speed_advance_and_freeze_move_time_as_they_say(tmp_path: Path) -> None:
    real = ManualClock()
    clock = make(tmp_path, real, speed=10.0)
    start = clock.now()
    real.advance(6)
    assert clock.now() == start + 60
    clock.change(speed=100.0, advance_seconds=40)
    assert clock.now() == start + 100
    real.advance(1)
    assert clock.now() == start + 200
    clock.change(freeze=True)
    real.advance(1000)
    assert clock.now() == start + 200
    clock.change(freeze=False)
    real.advance(1)
    assert clock.now() == start + 300


def test_time_never_goes_back_when_the_real_clock_does(tmp_path: Path) -> None:
    real = ManualClock()
    clock = make(tmp_path, real)
    real.advance(100)
    before = clock.now()
    real.jump_wall(-3600)
    assert clock.now() == before


def test_restart_keeps_origin_speed_and_frozen_time(tmp_path: Path) -> None:
    real = ManualClock()
    first = make(tmp_path, real)
    first.change(advance_seconds=500, speed=50.0, freeze=True)
    real.advance(99)
    second = make(tmp_path, real)
    assert (second.now(), second.origin) == (first.now(), first.origin)
    assert second.describe() == first.describe()
    third = make(tmp_path, real, speed=7.0)
    assert third.describe()["speed"] == 7.0


def test_other_seed_is_refused_with_the_remedy(tmp_path: Path) -> None:
    make(tmp_path, ManualClock())
    with pytest.raises(SettingError, match=r"EMDATA_SIMULATOR_SEED.*allowed: 1"):
        make(tmp_path, ManualClock(), seed=2)


@pytest.mark.parametrize(
    "body",
    [{"advance_seconds": -1}, {"speed": 0}, {"speed": 1e9}, {"speed": "fast"}, {"sped": 1}],
)
def test_clock_request_that_makes_no_sense_is_refused(world: Simulator, body: object) -> None:
    before = world.get("_simulator/clock").json()
    assert world.post("clock", body).status == 400
    assert world.get("_simulator/clock").json() == before


def test_health_and_page_say_that_everything_is_simulated(world: Simulator) -> None:
    health = world.get("_simulator/health")
    assert health.json()["simulated"] is True
    assert len(health.json()["hosts"]) == 5
    page = world.get("")
    assert "SIMULATED DATA" in page.body.decode()
    for path in ("", "_simulator/health", "nowhere/at/all", "www.fema.gov/api/open/v1/Nothing"):
        assert world.get(path).headers["x-emdata-simulated"] == "true"
    missing = world.get("www.fema.gov/api/open/v1/Nothing")
    assert missing.status == 404
    assert "/api/open/v1/OpenFemaDataSets" in missing.json()["exists"]["/www.fema.gov"]


def test_mutation_that_does_not_exist_is_refused_and_leaves_no_trace(world: Simulator) -> None:
    for body in ({"fema": "explode"}, {"nasa": "x"}, {}, {"fema": "declare", "state": "ZZ"}):
        assert world.post("mutations", body).status == 400
    first = world.mutate(fema="change_one")
    assert first["rows"] == 1
