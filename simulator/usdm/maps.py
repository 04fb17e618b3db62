"""Weekly drought maps by county, from a seed: valid Tuesdays, released Thursdays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from simulator.answers import MutationError
from simulator.geography.places import STATES, County
from simulator.instants import DAY, HOUR, day_of, start_of
from simulator.seeds import fraction, stream

FIRST_MAP = date(2000, 1, 4)
_RELEASED_AFTER = 2 * DAY + 13.5 * HOUR
"""From Tuesday 00:00 UTC to Thursday 8:30 in the morning, Eastern standard time."""

COUNTIES: dict[str, County] = {
    county.fips: county for state in STATES.values() for county in state.counties
}
Shares = tuple[float, float, float, float, float]
"""Percent of the area in D0 or worse, ... , D4; each is at most the one before."""


class Maps:
    """Shares by county and map date, as they stand at an instant."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._revisions: dict[tuple[str, date], list[tuple[float, Shares]]] = {}

    def released(self, first: date, last: date, now: float) -> list[date]:
        """Return the map dates in [first, last] that are out at ``now``, newest first."""
        newest = last - timedelta(days=(last.weekday() - 1) % 7)
        found = []
        while newest >= max(first, FIRST_MAP):
            if start_of(newest) + _RELEASED_AFTER <= now:
                found.append(newest)
            newest -= timedelta(days=7)
        return found

    def shares(self, county: County, valid: date, now: float) -> Shares:
        """Return the cumulative shares of a county on a map, in percent."""
        shares = _drawn(self._seed, county, valid, 0.0)
        chance = fraction(self._seed, "usdm", "revised", county.fips, valid)
        if chance < 0.01:
            at = start_of(valid) + _RELEASED_AFTER + (1 + chance / 0.01 * 19) * DAY
            if at <= now:
                shares = _drawn(self._seed, county, valid, 0.15)
        for at, revised in self._revisions.get((county.fips, valid), ()):
            if at <= now:
                shares = revised
        return shares

    def revise(self, at: float, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Redraw one county on one released map.

        Options: fips, valid_on (ISO); by default a county of Colorado on the newest map.
        """
        rng = stream(self._seed, "usdm", "mutation", number)
        fips = str(options.get("fips") or rng.choice(STATES["CO"].counties).fips)
        if fips not in COUNTIES:
            raise MutationError(f"usda: no county with FIPS code {fips!r}")
        today = day_of(at)
        valid = self.released(FIRST_MAP, today, at)[0]
        if "valid_on" in options:
            valid = date.fromisoformat(str(options["valid_on"]))
            if valid not in self.released(valid, valid, at):
                raise MutationError(f"usda: no released map of {valid}; maps are of Tuesdays")
        old = self.shares(COUNTIES[fips], valid, at)
        new = _drawn(self._seed, COUNTIES[fips], valid, 0.2 + 0.11 * number)
        if new == old:
            new = (round(old[0] / 2 + 10, 2), 4.0, 3.0, 2.0, 1.0)
        self._revisions.setdefault((fips, valid), []).append((at, new))
        return {"fips": fips, "valid_on": valid.isoformat(), "old": old, "new": new}


def _drawn(seed: int, county: County, valid: date, shift: float) -> Shares:
    """Draw a county: intensity 0 to 5 that changes over months and differs by place."""
    weeks = (valid - FIRST_MAP).days / 7
    phase = fraction(seed, "usdm", "place", county.state) * 2 * math.pi
    slow = math.sin(2 * math.pi * weeks / 130 + phase + county.longitude * 0.4)
    fast = math.sin(2 * math.pi * weeks / 37 + county.latitude * 1.7)
    own = (fraction(seed, "usdm", "county", county.fips) - 0.5) * 2.4
    intensity = 1.6 + 1.5 * slow + 0.7 * fast + own + shift
    shares = []
    for level in range(5):
        share = round(min(100.0, max(0.0, (intensity - level) * 62.0)), 2)
        shares.append(share)
    return (shares[0], shares[1], shares[2], shares[3], shares[4])
