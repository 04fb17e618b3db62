"""Simulated time: it can be frozen, advanced and speeded up, and it survives a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from emdata.clock import Clock
from emdata.errors import SettingError
from simulator.instants import iso_z

MAX_SPEED = 100_000.0
MAX_ADVANCE_SECONDS = 20 * 366 * 86_400.0


class ClockState(msgspec.Struct, kw_only=True):
    """What has to be remembered: what the world is made from, and how simulated time runs.

    Simulated time = ``anchor_simulated + speed * (real time - anchor_real)``, or the first alone
    while frozen. All instants are seconds since 1970, UTC.
    """

    seed: int
    origin: float
    anchor_real: float
    anchor_simulated: float
    speed: float
    configured_speed: float
    active_alerts: int
    frozen: bool = False


class SimulatedClock:
    """Tells simulated time and never goes back."""

    def __init__(
        self, file: Path, clock: Clock, *, seed: int, speed: float, active_alerts: int
    ) -> None:
        """Read the clock in ``file``, or start one there at the real time.

        Raises SettingError when the file belongs to a world with another seed.
        """
        self._file, self._clock = file, clock
        self._last = 0.0
        if file.exists():
            self._state = msgspec.json.decode(file.read_bytes(), type=ClockState)
            self._check(seed)
            if self._state.configured_speed != speed:
                self._state.configured_speed = speed
                self.change(speed=speed)
        else:
            now = self._real()
            self._state = ClockState(
                seed=seed, origin=now, anchor_real=now, anchor_simulated=now, speed=speed,
                configured_speed=speed, active_alerts=active_alerts,
            )  # fmt: skip
            self._save()

    @property
    def origin(self) -> float:
        """When the world began, in simulated and in real seconds."""
        return self._state.origin

    @property
    def seed(self) -> int:
        """The seed of the world."""
        return self._state.seed

    @property
    def active_alerts(self) -> int:
        """About how many alerts are active at a time, nationwide."""
        return self._state.active_alerts

    def now(self) -> float:
        """Return the simulated instant, to the millisecond."""
        state = self._state
        now = state.anchor_simulated
        if not state.frozen:
            now += max(0.0, self._real() - state.anchor_real) * state.speed
        self._last = max(self._last, round(now, 3))
        return self._last

    def change(
        self,
        *,
        advance_seconds: float = 0.0,
        speed: float | None = None,
        freeze: bool | None = None,
    ) -> None:
        """Move forward, set the speed, freeze or thaw; remembered at once. Raises ValueError."""
        if not 0 <= advance_seconds <= MAX_ADVANCE_SECONDS:
            raise ValueError(f"advance_seconds {advance_seconds!r}: 0 to {MAX_ADVANCE_SECONDS:.0f}")
        if speed is not None and not 0 < speed <= MAX_SPEED:
            raise ValueError(f"speed {speed!r}: more than 0, at most {MAX_SPEED:.0f}")
        now = self.now() + advance_seconds
        state = self._state
        state.anchor_simulated, state.anchor_real = round(now, 3), self._real()
        state.speed = state.speed if speed is None else speed
        state.frozen = state.frozen if freeze is None else freeze
        self._save()

    def describe(self) -> dict[str, Any]:
        """Return what the status page shows."""
        return {
            "simulated_at": iso_z(self.now()),
            "real_at": iso_z(self._real()),
            "origin": iso_z(self._state.origin),
            "seed": self._state.seed,
            "active_alerts": self._state.active_alerts,
            "speed": self._state.speed,
            "frozen": self._state.frozen,
        }

    def _real(self) -> float:
        return round(self._clock.now().timestamp(), 3)

    def _check(self, seed: int) -> None:
        if self._state.seed != seed:
            raise SettingError(
                "EMDATA_SIMULATOR_SEED",
                value=seed,
                allowed=f"{self._state.seed}, the seed of the world in {self._file.parent}",
                fix="set it back, or use another EMDATA_HOME for a world with another seed",
            )

    def _save(self) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(self._state))
        draft.replace(self._file)
